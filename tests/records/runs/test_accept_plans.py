"""What an accept counts and compares costs the same, however many runs wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import insert

from app.records.database.database import Database
from app.records.runs import run_ledger
from app.records.runs.accept_guards import read_guards
from app.records.runs.selections import find_twin
from app.records.tables import Project, Run
from tests.builders.databases import KINDS, shared_database
from tests.builders.rows import NOW, draft_project, draft_run, run_id
from tests.drivers.query_plans import explained, steps_of

MANY = 4_000
# of SQLite's virtual machine; looking at every waiting run takes 30,000
STEPS = 1_000


@pytest.fixture(scope="module", params=KINDS)
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    address = shared_database(tmp_path_factory.mktemp("plans"), request.param)
    with closing(Database(address, publish=lambda _: None)) as database:
        with database.transaction() as tx:
            tx.add(draft_project(id="proj_1"))
            tx.flush()
            usual = draft_run(
                status="delayed",
                due_at=NOW + timedelta(hours=1),
                created_at=NOW - timedelta(days=1),
            ).model_dump()
            some = [
                usual
                | {"id": run_id(usual["created_at"]), "work_branch": f"run/{number}"}
                | {"task": f"Task {number}"}
                for number in range(MANY)
            ]
            tx.connection().execute(insert(Run), some)
        yield database


def test_accepts_follow_their_indexes(database: Database) -> None:
    run = draft_run(task="Another task", charged_to="person_1")
    asked: dict[str, Callable[[], object]] = {}
    with database.reading() as session:
        assert session.get(Project, "proj_1") is not None
        asked["guards"] = lambda: read_guards(session, run, NOW, most=MANY)
        asked["count"] = lambda: run_ledger.count_open(session, "proj_1")
        asked["twin"] = lambda: find_twin(session, run)
        for name, ask in asked.items():
            if database.is_sqlite:
                assert steps_of(database, ask) <= STEPS, name
            else:
                assert explained(database, ask)


def test_a_twin_is_found_among_many(database: Database) -> None:
    with database.reading() as session:
        twin = find_twin(session, draft_run(task="Task 77"))
        assert twin is not None
        assert twin.task == "Task 77"
        assert find_twin(session, draft_run(task="Task")) is None
        assert find_twin(session, draft_run(task="Task 77", agent="claude")) is None
