"""RunColumns, the type of what is written to a run, agrees with the table."""

from __future__ import annotations

from typing import get_type_hints

from app.domain.agents.reports import Usage
from app.records.runs.run_columns import RunColumns, drafted_run
from app.records.tables import Run
from tests.builders.rows import draft_run

# the first two never change, only a signal changes the status, and claims are told apart from it
FIXED = {"id", "project_id", "status", "announce", "announced"}


def test_the_columns_that_may_be_written_are_those_of_the_table_with_their_types() -> None:
    columns = {
        name: hint
        for name, hint in get_type_hints(Run).items()
        if name in Run.model_fields and name not in FIXED
    }
    assert get_type_hints(RunColumns) == columns


def test_each_column_for_usage_is_a_column_of_a_run() -> None:
    columns = get_type_hints(RunColumns)
    assert {name: hint | None for name, hint in get_type_hints(Usage).items()} == {
        name: columns[name] for name in Usage.__annotations__
    }


def test_a_drafted_run_equals_one_that_its_model_made() -> None:
    columns = draft_run(task="Try", tags=["a"]).model_dump()
    given = {name: value for name, value in columns.items() if value is not None}
    drafted, made = drafted_run(given), Run(**given)
    assert drafted.model_dump() == made.model_dump()
    del given["retries"]
    assert drafted_run(given).retries is not drafted_run(given).retries
