"""Daily totals always equal a full scan of the runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import col, select

from app.domain.lifecycle import Signal
from app.domain.statistics import NAMES, NOTHING, Figures
from app.domain.words import Status
from app.records.database import migration
from app.records.database.database import Database
from app.records.projects.tracker_ledger import TrackerLedger
from app.records.runs.daily_totals import DayLedger, figures_of_run
from app.records.runs.run_ledger import RunLedger
from app.records.stores.routing import Stores
from app.records.tables import ProjectDay, Run
from tests.builders.databases import SQLITE
from tests.builders.rows import NOW, add_run, draft_run, run_id, stores_on
from tests.drivers.query_plans import explained, statements_of

pytestmark = pytest.mark.both_databases

PROJECTS = ("proj_1", "proj_2")
TOLD = "told"
FIXTURE = HealthCheck.function_scoped_fixture
Days = dict[tuple[str, date], Figures]


class Crashed(Exception):
    """Simulated crash before the commit."""


def scanned(stores: Stores) -> Days:
    """Return the totals computed from the run rows."""
    found: Days = {}
    for database in stores.holding_runs():
        with database.reading() as session:
            for run in session.exec(select(Run).where(col(Run.ended_at).is_not(None))):
                assert run.ended_at is not None
                place = (run.project_id, run.ended_at.astimezone(UTC).date())
                found[place] = found.get(place, NOTHING) + figures_of_run(run)
    return found


def kept(stores: Stores) -> Days:
    """Return the stored totals."""
    days = DayLedger(stores)
    return {
        (project_id, day): figures
        for project_id in PROJECTS
        for day, figures in days.by_day(project_id, date.min).items()
    }


def counted(stores: Stores) -> dict[str, int]:
    """Return the stored run count of each project."""
    return {project_id: DayLedger(stores).count_runs(project_id) for project_id in PROJECTS}


def listed(stores: Stores) -> dict[str, int]:
    """Return each project's run count from the run rows."""
    found: dict[str, int] = dict.fromkeys(PROJECTS, 0)
    for database in stores.holding_runs():
        with database.reading() as session:
            for project_id in session.exec(select(Run.project_id)):
                found[project_id] += 1
    return found


def move(ledger: RunLedger, run: Run, signal: Signal, now: datetime, **columns: Any) -> Run | None:
    with ledger.stores.owner_of(run.id).transaction() as tx:
        words = {"kind": "note", "sentence": str(signal)}
        return ledger.move(tx, run, signal, now=now, **words, **columns)


def test_the_row_has_a_column_for_each_sum() -> None:
    assert tuple(ProjectDay.model_fields) == ("project_id", "day", *NAMES)


def test_a_run_counts_on_the_utc_day_of_its_end(ledger: RunLedger, stores: Stores) -> None:
    night = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
    began = night - timedelta(minutes=40)
    run = add_run(ledger, status=Status.RUNNING, started_at=began, input_tokens=7)
    move(ledger, run, Signal.GONE, night)
    (figures,) = [found for place, found in kept(stores).items() if place[1] == night.date()]
    assert figures == Figures(died=1, began=1, worked_ms=2_400_000, told_tokens=1, input_tokens=7)
    assert DayLedger(stores).total(night.date()) == figures
    assert DayLedger(stores).total(night.date() + timedelta(days=1)) == NOTHING


def test_a_week_of_all_is_added_up_where_it_is_kept(ledger: RunLedger, stores: Stores) -> None:
    for day in range(3):
        for project_id in PROJECTS:
            at = NOW + timedelta(days=day)
            told = {"status": Status.DIED, "ended_at": at, "cost_usd": 1.5}
            add_run(ledger, **told, project_id=project_id, started_at=at - timedelta(seconds=day))
    days, since = DayLedger(stores), NOW.date() + timedelta(days=1)
    by_project = (days.by_day(one, since).values() for one in PROJECTS)
    assert days.total(since) == sum(chain.from_iterable(by_project), NOTHING) != NOTHING
    [(statement, _)] = statements_of(lambda: days.total(since))
    assert "sum(project_day.died)" in statement


def test_who_loses_the_race_for_an_end_counts_nothing(ledger: RunLedger, stores: Stores) -> None:
    run = add_run(ledger, status=Status.RUNNING, started_at=NOW)
    assert move(ledger, run, Signal.STOP, NOW) is not None
    assert move(ledger, run, Signal.GONE, NOW) is None
    assert kept(stores) == {("proj_1", NOW.date()): Figures(stopped=1, began=1)}


def test_an_end_that_is_rolled_back_is_not_counted(ledger: RunLedger, stores: Stores) -> None:
    run = add_run(ledger, status=Status.RUNNING, started_at=NOW)
    with suppress(Crashed), stores.owner_of(run.id).transaction() as tx:
        ledger.move(tx, run, Signal.STOP, now=NOW, kind="reaped", sentence="stopped")
        raise Crashed
    assert kept(stores) == {}


def test_usage_told_after_the_end_counts_once_however_often_it_is_told(
    ledger: RunLedger, stores: Stores
) -> None:
    run = add_run(ledger, status=Status.RUNNING, started_at=NOW)
    ledger.update_usage(run.id, input_tokens=5)
    assert kept(stores) == {}
    move(ledger, run, Signal.STOP, NOW)
    for _ in range(2):
        ledger.update_usage(run.id, input_tokens=9, cost_usd=0.25)
    told = {"told_tokens": 1, "input_tokens": 9, "told_cost": 1, "cost_micros": 250_000}
    assert kept(stores) == {("proj_1", NOW.date()): Figures(stopped=1, began=1, **told)}


def test_days_lie_where_their_runs_do(open_database: Callable[[str], Database]) -> None:
    control, apart = open_database("control.db"), open_database("runs.db")
    stores = stores_on(control, apart)
    ledger = RunLedger(stores)
    for split in (True, False):
        run = add_run(ledger, id=run_id(split=split), status=Status.RUNNING, started_at=NOW)
        move(ledger, run, Signal.STOP, NOW)
    for database in (control, apart):
        with database.reading() as session:
            assert session.exec(select(ProjectDay.stopped)).all() == [1]
    assert kept(stores) == scanned(stores)
    assert DayLedger(stores).total(NOW.date()).stopped == 2
    add_run(ledger, id=run_id(split=False))
    assert counted(stores) == listed(stores) == {"proj_1": 3, "proj_2": 0}


@pytest.mark.parametrize("kind", [SQLITE], indirect=True)
def test_what_there_is_of_a_project_is_counted_without_its_history(
    ledger: RunLedger, stores: Stores, database: Database
) -> None:
    plans = explained(database, lambda: DayLedger(stores).count_runs("proj_1"))
    plans += explained(database, lambda: TrackerLedger(stores).count_open("proj_1"))
    touched = [plan for plan in plans if not plan.startswith("SCAN CONSTANT ROW")]
    assert not [plan for plan in touched if plan.startswith("SCAN ")], touched
    assert any("one_open_run_per_branch" in plan for plan in touched), touched
    assert any("one_open_change_per_branch" in plan for plan in touched), touched


USAGE = st.fixed_dictionaries(
    {},
    optional={
        "input_tokens": st.integers(0, 2**31 - 1),
        "output_tokens": st.integers(0, 2**31 - 1),
        "cost_usd": st.floats(0, 1_000_000, allow_nan=False),
    },
)
# which run, what happens to it, its new columns, how much later, and how the step ends
STEPS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from([*Signal, TOLD, TOLD]),
        USAGE,
        st.timedeltas(timedelta(hours=-1), timedelta(hours=30)),
        st.sampled_from(["", "", "", "by a stale row", "crashed"]),
    ),
    max_size=40,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[FIXTURE])
@given(STEPS)
def test_the_days_say_what_a_scan_of_the_runs_says(
    ledger: RunLedger, stores: Stores, steps: list[tuple[int, str, dict[str, Any], timedelta, str]]
) -> None:
    # databases are shared between examples: each history continues from the previous ones
    first = [add_run(ledger, project_id=PROJECTS[number % 2]) for number in range(6)]
    now = NOW
    for number, what, usage, later, how in steps:
        now += later
        stale = first[number]
        run = stale if how == "by a stale row" else ledger.find(stale.id)
        assert run is not None
        if what == TOLD:
            ledger.update_usage(run.id, **usage)
            continue
        began = {"started_at": now} if what == Signal.AGENT_ALIVE else {}
        with suppress(Crashed), stores.owner_of(run.id).transaction() as tx:
            words = {"kind": "note", "sentence": what}
            ledger.move(tx, run, Signal(what), now=now, **words, **began, **usage)
            if how == "crashed":
                raise Crashed
    assert kept(stores) == scanned(stores)
    assert counted(stores) == listed(stores)


def test_the_migration_adds_up_what_is_there(ledger: RunLedger, stores: Stores) -> None:
    late = datetime(2026, 3, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    over = {"released_at": late, "cost_usd": 0.1}
    for seconds in (0, 0.000_001, 0.0019, 59.9999, 86_399.999_999, -5):
        began = late - timedelta(seconds=seconds)
        for project_id, status in zip(PROJECTS, (Status.DIED, Status.SUCCEEDED), strict=True):
            columns = {"status": status, "project_id": project_id, "started_at": began}
            add_run(ledger, **columns, **over, ended_at=late)
            add_run(ledger, **columns, ended_at=began, input_tokens=2**31 - 1)
    add_run(ledger, status=Status.EXPIRED, ended_at=late)
    add_run(ledger, started_at=NOW)
    before = kept(stores)
    script = ScriptDirectory(str(Path(migration.__file__).parent / "migrations"))
    fill = script.get_revision("0005").module.fill_of(stores.control.engine.dialect.name)
    with stores.control.transaction() as tx:
        tx.execute(text("DELETE FROM project_day"))
        tx.execute(text(fill))
    assert kept(stores) == before == scanned(stores)


def test_a_run_that_is_over_when_it_is_inserted_counts(ledger: RunLedger, stores: Stores) -> None:
    columns = {"status": Status.NOT_STARTED, "ended_at": NOW, "released_at": NOW}
    run = draft_run(**columns)
    with stores.owner_of(run.id).transaction() as tx:
        ledger.insert(tx, run, sentence="not started: an unknown issue")
    assert kept(stores) == {("proj_1", NOW.date()): Figures(not_started=1)}
