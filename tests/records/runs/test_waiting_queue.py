"""The queue of single runs: its order, the holds it writes, and their cost with many waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text

from app.domain.words import Status
from app.records.database.database import Database
from app.records.feed import Change, ProjectChanged, RunChanged, RunEventAppended
from app.records.runs.due_work import DueWork, HeldProject, held_projects, read_due_work
from app.records.runs.run_ledger import RunLedger
from app.records.runs.waiting_queue import Holds, Kind, WaitingQueue
from app.records.stores.routing import Stores
from app.records.tables import Run
from tests.builders.rows import NOW, add_run, draft_project, draft_run, run_id, stores_on
from tests.drivers.query_plans import explained, statements_of, steps_of

# enough rows for PostgreSQL to prefer an index over a scan
MANY = 4_000
FULL = "waits for other runs to end: 3 of 3 are live"
CLONING = "the repository is being cloned"
# steps of SQLite's virtual machine; one for each waiting run would be MANY
FEW_STEPS = 2_000
ENDED = {"status": "died", "ended_at": NOW, "released_at": NOW}


def later(seconds: float) -> Any:
    return NOW + timedelta(seconds=seconds)


def read(stores: Stores, seconds: float = 0) -> DueWork:
    return read_due_work(stores, later(seconds), later(seconds - 900))


def wait_in_line(database: Database, count: int, **columns: Any) -> None:
    """Insert so many queued runs of `proj_1`, one per second, and let the database count them."""
    usual = draft_run().model_dump()
    rows = [
        usual
        | {"id": run_id(later(number)), "created_at": later(number)}
        | {"work_branch": f"run/{columns.get('agent', '')}{number}"}
        | columns
        for number in range(count)
    ]
    with database.transaction() as tx:
        tx.connection().execute(insert(Run), rows)
    if not database.is_sqlite:
        # as PostgreSQL does by itself, and SQLite does not
        with database.engine.connect() as connection:
            connection.execute(text("ANALYZE"))
            connection.commit()


def rows_read(plan: dict[str, Any]) -> Iterator[int]:
    """Yield how many rows each scan of a PostgreSQL plan has looked at."""
    if "Scan" in plan["Node Type"]:
        yield plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    for part in plan.get("Plans", []):
        yield from rows_read(part)


def check_cost(database: Database, ask: Callable[[], object]) -> None:
    """Check that a read looks at few rows, and at the runs by an index only."""
    if database.is_sqlite:
        plans = explained(database, ask)
        assert not [one for one in plans if one == "SCAN runs"], plans
        assert steps_of(database, ask) < FEW_STEPS
    else:
        plans = explained(database, ask)
        assert sum(count for plan in plans for count in rows_read(plan)) < 100, plans


@pytest.mark.both_databases
def test_reads_of_a_long_queue_look_at_few_rows(database: Database, stores: Stores) -> None:
    queue = WaitingQueue(stores)
    wait_in_line(database, MANY, hold=FULL)
    check_cost(database, lambda: read(stores))
    check_cost(database, lambda: queue.first(Holds(), 3))
    last = queue.first(Holds(), MANY - 100)[-1]
    check_cost(database, lambda: queue.first(Holds(), 3, {database: last}))
    check_cost(database, lambda: queue.due(NOW))
    check_cost(database, lambda: queue.overdue(NOW))
    full = Holds(every=FULL)
    assert queue.write_holds(full) == 0
    check_cost(database, lambda: queue.write_holds(full))
    assert len(statements_of(lambda: read(stores))) == 1


@pytest.mark.both_databases
def test_only_the_new_run_in_a_long_queue_is_written(
    database: Database, stores: Stores, ledger: RunLedger, told: list[Change]
) -> None:
    wait_in_line(database, MANY, hold=FULL)
    new = add_run(ledger, created_at=later(MANY))
    told.clear()
    assert WaitingQueue(stores).write_holds(Holds(every=FULL)) == 1
    assert told == [RunChanged(new.id, new.project_id), ProjectChanged(new.project_id)]
    found = ledger.find(new.id)
    assert found is not None
    assert found.hold == FULL


def test_the_first_runs_come_in_order_and_held_ones_are_passed_over(
    stores: Stores, ledger: RunLedger
) -> None:
    queue, at = WaitingQueue(stores), iter(range(99))
    cloning = add_run(ledger, project_id="proj_2", created_at=later(next(at)))
    limited = add_run(ledger, agent="a", model="m", created_at=later(next(at)))
    probe = add_run(ledger, agent="a", model="m", created_at=later(next(at)))
    resumed = add_run(ledger, agent="a", model="m", trigger="resume", created_at=later(next(at)))
    other = add_run(ledger, agent="a", created_at=later(next(at)))
    planned = add_run(ledger, due_at=NOW, created_at=later(next(at)))
    failed = add_run(ledger, created_at=later(next(at)))
    for columns in (ENDED, {"status": "running"}, {"status": "delayed", "due_at": NOW}):
        add_run(ledger, **columns, created_at=later(next(at)))
    everyone = [cloning, limited, probe, resumed, other, planned, failed]
    assert queue.first(Holds(), 99) == everyone
    assert queue.first(Holds(), 2) == everyone[:2]
    holds = Holds(
        projects={"proj_2": CLONING},
        planned={"proj_1": "no room"},
        kinds={Kind("a", "m", False): "limit"},
        probes={probe.id},
        runs={failed.id: None},
    )
    # single ones are left to the caller, who goes on behind the last one that it tried
    assert queue.first(holds, 99) == [probe, resumed, other, failed]
    assert queue.first(holds, 2, {stores.control: probe}) == [resumed, other]
    assert queue.first(holds, 2, {stores.control: failed}) == []
    assert [one for one in everyone if not holds.covers(one)] == [probe, resumed, other]


@pytest.mark.both_databases
def test_every_run_gets_the_hold_that_it_meets_first(stores: Stores, ledger: RunLedger) -> None:
    queue = WaitingQueue(stores)

    def holds_after(holds: Holds) -> list[str | None]:
        queue.write_holds(holds)
        assert queue.write_holds(holds) == 0
        return [run.hold for run in queue.first(Holds(), 99)]

    for number, columns in enumerate(
        ({}, {"project_id": "proj_2"}, {"project_id": "proj_3"}, {"agent": "a"}, {"due_at": NOW})
    ):
        add_run(ledger, **columns, created_at=later(number))
    assert holds_after(Holds()) == [None] * 5
    cloning = {"proj_2": CLONING, "proj_3": CLONING}
    assert holds_after(Holds(every=FULL, projects=cloning)) == [FULL, CLONING, CLONING, FULL, FULL]
    away = {"proj_2": "away", "proj_3": CLONING}
    assert holds_after(Holds(every=FULL, projects=away)) == [FULL, "away", CLONING, FULL, FULL]
    back = {"proj_3": CLONING}
    assert holds_after(Holds(every=FULL, projects=back)) == [FULL, FULL, CLONING, FULL, FULL]
    found = Holds(planned={"proj_1": "no room"}, kinds={Kind("a", None, False): "limit"})
    assert holds_after(found) == [FULL, FULL, CLONING, "limit", "no room"]
    assert holds_after(Holds(every="disk full")) == ["disk full"] * 5
    gone = {f"proj_{number}": f"away {number}" for number in range(250)}
    assert holds_after(Holds(projects=gone))[:3] == ["away 1", "away 2", "away 3"]


def test_holds_of_ten_thousand_projects_are_written_in_statements_of_bounded_size(
    stores: Stores, ledger: RunLedger
) -> None:
    texts = [f"the repository cannot be reached: {why}" for why in ("away", "denied", "gone")]
    projects = {f"proj_{number}": texts[number % 3] for number in range(10_000)}
    held = [add_run(ledger, project_id=f"proj_{number}", hold=texts[0]) for number in (0, 1)]
    waiting = [add_run(ledger, project_id=name, hold=texts[1]) for name in ("proj_2", "proj_x")]
    limits = {Kind(agent, None, False): f"limit of {agent}" for agent in "ab"}
    holds, queue = Holds(every=FULL, projects=projects, kinds=limits), WaitingQueue(stores)
    asked = statements_of(lambda: queue.write_holds(holds))
    assert max(len(given) for _, given in asked) < 25_000
    found = ledger.find_all(run.id for run in (*held, *waiting))
    assert [found[run.id].hold for run in (*held, *waiting)] == [*texts, FULL]


@pytest.mark.both_databases
def test_a_hold_that_is_still_true_is_not_replaced_while_every_slot_is_taken(
    database: Database, stores: Stores, ledger: RunLedger
) -> None:
    wait_in_line(database, MANY, agent="a", hold="limit")
    old = add_run(ledger, agent="b", hold="old limit", created_at=later(MANY))
    queue, full = WaitingQueue(stores), Holds(every=FULL, still_true={"limit"})
    assert queue.write_holds(full) == 1
    found = ledger.find(old.id)
    assert found is not None
    assert found.hold == FULL
    check_cost(database, lambda: queue.write_holds(full))
    # also where a fill has found both
    both = Holds(every=FULL, kinds={Kind("a", None, False): "limit"})
    assert queue.write_holds(both) == 0
    assert queue.write_holds(Holds(every=FULL)) == MANY


def test_a_run_that_was_taken_meanwhile_keeps_no_hold(stores: Stores, ledger: RunLedger) -> None:
    batched = add_run(ledger, batch_id="batch_1")
    taken = add_run(ledger, status=Status.STARTING)
    assert WaitingQueue(stores).write_holds(Holds(every=FULL)) == 0
    assert [ledger.find(run.id).hold for run in (batched, taken)] == [None, None]  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.both_databases
def test_what_is_due_is_read_at_its_time(stores: Stores, ledger: RunLedger) -> None:
    idle = read(stores)
    assert (idle.live, idle.queued, idle.next_start, idle.next_launch) == (0, False, None, None)
    assert not any(value for name, value in vars(idle).items() if name != "live")
    delayed = add_run(ledger, status="delayed", due_at=later(60))
    expiring = add_run(ledger, expires_at=later(120))
    add_run(ledger, status="starting", taken_at=later(30))
    add_run(ledger, **ENDED | {"released_at": None})
    soon = read(stores)
    assert (soon.live, soon.queued, soon.due, soon.overdue) == (2, True, False, False)
    assert (soon.next_start, soon.next_launch) == (later(60), later(30))
    assert not soon.late_launches
    due = read(stores, 60)
    assert (due.due, due.overdue, due.next_start) == (True, False, later(120))
    assert WaitingQueue(stores).due(later(60)) == [(delayed.id, delayed.project_id)]
    late = read(stores, 930)
    assert (late.overdue, late.late_launches, late.next_launch) == (True, True, None)
    assert WaitingQueue(stores).overdue(later(930)) == [expiring]


@pytest.mark.both_databases
def test_delayed_runs_fall_due_together_unless_one_changed_meanwhile(
    database: Database, ledger: RunLedger, told: list[Change]
) -> None:
    delayed = {"status": Status.DELAYED, "due_at": later(60)}
    due = [add_run(ledger, **delayed, project_id=f"proj_{number}") for number in (1, 2)]
    moved = add_run(ledger, **delayed | {"due_at": later(61)})
    stopped = add_run(ledger, **delayed | {"status": Status.STOPPED})
    asked = [run.id for run in (*due, moved, stopped)]
    told.clear()
    with database.transaction() as tx:
        assert ledger.fall_due_together(tx, asked, later(60)) == 2
    assert told.count(ProjectChanged("proj_2")) == 1
    lines = [line for run in due for line in ledger.timeline(run.id)[1:]]
    assert {(line.kind, line.sentence, line.at) for line in lines} == {
        ("note", "due now", later(60))
    }
    assert {RunChanged(run.id, run.project_id) for run in due} <= {*told}
    assert {RunEventAppended(line.run_id, line.id or 0) for line in lines} <= {*told}
    found = ledger.find_all(asked)
    statuses = [found[one].status for one in asked]
    assert statuses == ["queued", "queued", "delayed", "stopped"]
    with database.transaction() as tx:
        assert ledger.fall_due_together(tx, asked, later(60)) == 0


@pytest.mark.both_databases
def test_projects_in_which_nothing_starts_are_found(database: Database, stores: Stores) -> None:
    with database.transaction() as tx:
        tx.add(draft_project(id="proj_1", name="1"))
        tx.add(draft_project(id="proj_2", name="2", state="broken", state_because="no host"))
        tx.add(draft_project(id="proj_3", name="3", unreachable=True, origin_because="away"))
    assert read(stores).held_projects
    found = {one.id: one for one in held_projects(stores)}
    assert found == {
        "proj_2": HeldProject("proj_2", "broken", "no host", False, None),
        "proj_3": HeldProject("proj_3", "ready", None, True, "away"),
    }


def test_both_stores_are_read_as_one(open_database: Callable[..., Database]) -> None:
    both = stores_on(open_database("control"), open_database("runs"))
    ledger, queue = RunLedger(both), WaitingQueue(both)
    old = add_run(ledger)
    new = add_run(ledger, id=run_id(later(1), split=True), created_at=later(1))
    assert queue.first(Holds(), 9) == [old, new]
    assert queue.first(Holds(), 1) == [old]
    at_once = add_run(ledger, id=run_id(later(1)), created_at=later(1))
    behind = {both.owner_of(old.id): old}
    assert queue.first(Holds(), 1, behind) == [new]
    assert queue.first(Holds(), 9, behind) == [new, at_once]
    behind = {both.owner_of(run.id): run for run in (new, old)}
    assert queue.first(Holds(), 9, behind) == [at_once]
    assert queue.write_holds(Holds(every=FULL)) == 3
    assert (read(both).queued, read(both).live) == (True, 0)
