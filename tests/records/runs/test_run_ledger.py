"""Run rows: guarded transitions, one release, the timeline, and open and live counts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app.domain.lifecycle import LIVE, MOVES, WAITING, Signal, next_status
from app.domain.words import Status
from app.records.feed import Change, ProjectChanged, QuotaChanged, RunChanged, RunEventAppended
from app.records.runs import run_ledger
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Run
from tests.builders.rows import NOW, add_run, run_id, stores_on


def move(ledger: RunLedger, run: Run, signal: Signal, **columns: Any) -> Run | None:
    """Apply one signal in a separate transaction."""
    with ledger.stores.owner_of(run.id).transaction() as tx:
        return ledger.move(tx, run, signal, now=NOW, kind="note", sentence=str(signal), **columns)


@pytest.fixture
def run(ledger: RunLedger) -> Run:
    """A queued run."""
    return add_run(ledger)


@pytest.mark.both_databases
def test_an_accepted_run_is_there_with_its_first_line(
    ledger: RunLedger, told: list[Change]
) -> None:
    told.clear()
    run = add_run(ledger, charged_to="person_1")
    assert ledger.find(run.id) == run
    assert [(one.kind, one.sentence) for one in ledger.timeline(run.id)] == [
        ("accepted", "accepted")
    ]
    assert set(told) == {
        *(RunChanged(run.id, "proj_1"), ProjectChanged("proj_1"), QuotaChanged("person_1")),
        RunEventAppended(run.id, ledger.timeline(run.id)[0].id or 0),
    }


@pytest.mark.both_databases
def test_a_move_writes_status_columns_and_one_line(
    ledger: RunLedger, run: Run, told: list[Change]
) -> None:
    told.clear()
    moved = move(ledger, run, Signal.TAKEN, taken_at=NOW, hold="x")
    assert moved is not None
    assert (moved.status, moved.taken_at, moved.hold) == ("starting", NOW, "x")
    assert ledger.find(run.id) == moved
    assert [one.sentence for one in ledger.timeline(run.id)] == ["accepted", "taken"]
    assert RunChanged(run.id, "proj_1") in told


def test_the_row_that_was_read_is_a_copy(ledger: RunLedger, run: Run) -> None:
    run.title = "changed by hand"
    found = ledger.find(run.id)
    assert found is not None
    assert found.title == "A run"


@pytest.mark.parametrize("status", Status)
def test_only_legal_moves_are_written(ledger: RunLedger, status: Status) -> None:
    ended = None if status in WAITING | LIVE else NOW
    for signal in Signal:
        run = add_run(ledger, status=status, ended_at=ended)
        moved = move(ledger, run, signal)
        expected = next_status(status, signal)
        assert (moved.status if moved else None) == expected, signal
        after = ledger.find(run.id)
        assert after is not None
        assert after.status == (expected or status), signal
        assert len(ledger.timeline(run.id)) == (2 if expected else 1), signal


def test_an_end_is_dated(ledger: RunLedger) -> None:
    for status, signal in MOVES:
        moved = move(ledger, add_run(ledger, status=status), signal)
        assert moved is not None, (status, signal)
        ends = Status(moved.status) not in WAITING | LIVE
        assert moved.ended_at == (NOW if ends else None), (status, signal)


@pytest.mark.both_databases
def test_who_read_an_older_status_moves_nothing(ledger: RunLedger, run: Run) -> None:
    assert move(ledger, run, Signal.STOP) is not None
    assert move(ledger, run, Signal.TAKEN) is None
    found = ledger.find(run.id)
    assert found is not None
    assert found.status == "stopped"
    assert len(ledger.timeline(run.id)) == 2


@pytest.mark.both_databases
def test_f11_of_many_movers_at_once_one_wins(ledger: RunLedger) -> None:
    run = add_run(ledger, status=Status.RUNNING)
    signals = [Signal.STOP, Signal.GONE, Signal.DEADLINE, Signal.DELIVERED] * 3
    start, won = threading.Barrier(len(signals)), []

    def race(signal: Signal) -> None:
        start.wait()
        moved = move(ledger, run, signal)
        if moved is not None:
            won.append((signal, moved.status))

    racers = [threading.Thread(target=race, args=(signal,)) for signal in signals]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(30)
    found = ledger.find(run.id)
    assert found is not None
    assert won == [(won[0][0], found.status)]
    assert len(ledger.timeline(run.id)) == 2


def test_a_move_that_is_rolled_back_leaves_no_line(
    ledger: RunLedger, run: Run, told: list[Change]
) -> None:
    told.clear()

    def move_and_fail() -> None:
        with ledger.stores.owner_of(run.id).transaction() as tx:
            assert ledger.move(tx, run, Signal.TAKEN, now=NOW, kind="taken", sentence="taken")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        move_and_fail()
    assert ledger.find(run.id) == run
    assert len(ledger.timeline(run.id)) == 1
    assert told == []


@pytest.mark.both_databases
def test_a_run_is_released_once(ledger: RunLedger) -> None:
    run = add_run(ledger, status=Status.DIED, ended_at=NOW, hold="x")
    start, answers = threading.Barrier(4), []

    def release() -> None:
        start.wait()
        answers.append(ledger.release(run, now=NOW, sentence="gone", parked=True))

    threads = [threading.Thread(target=release) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == [False, False, False, True]
    found = ledger.find(run.id)
    assert found is not None
    assert (found.released_at, found.hold, found.parked) == (NOW, None, True)
    assert [one.kind for one in ledger.timeline(run.id)] == ["accepted", "kill_verified"]


def test_a_run_that_has_not_ended_cannot_be_released(ledger: RunLedger, run: Run) -> None:
    assert ledger.release(run, now=NOW, sentence="gone") is False
    assert ledger.open_runs() == [run]


@pytest.mark.both_databases
def test_a_release_leaves_parked_what_was_parked_meanwhile(ledger: RunLedger) -> None:
    run = add_run(ledger, status=Status.DIED, ended_at=NOW)
    ledger.update_fields(run.id, run.project_id, parked=True)
    assert ledger.release(run, now=NOW, sentence="gone", parked=False)
    found = ledger.find(run.id)
    assert found is not None
    assert found.parked


@pytest.mark.both_databases
def test_a_hold_is_written_only_on_a_run_that_is_still_as_it_was_read(
    ledger: RunLedger, run: Run
) -> None:
    ledger.set_hold(run, "waits")
    with ledger.stores.owner_of(run.id).transaction() as tx:
        moved = ledger.move(
            tx, run, Signal.STOP, now=NOW, kind="reaped", sentence="stopped", hold=None
        )
    assert moved is not None
    ledger.set_hold(run, "waits longer")
    assert ledger.release(moved, now=NOW, sentence="gone")
    ledger.set_hold(moved, "waits for ever")
    found = ledger.find(run.id)
    assert found is not None
    assert found.hold is None


def test_a_timeline_is_told_oldest_first_and_from_a_place_on(ledger: RunLedger, run: Run) -> None:
    # order of insertion, regardless of the clock
    for number, at in enumerate([NOW, NOW - timedelta(hours=1), NOW]):
        ledger.append_event_once(run.id, at, "note", f"line {number}", number=number)
    other = add_run(ledger)
    ledger.append_event_once(other.id, NOW, "note", "of another run")
    events = ledger.timeline(run.id)
    assert [one.sentence for one in events] == ["accepted", "line 0", "line 1", "line 2"]
    assert events[1].data == {"number": 0}
    assert ledger.timeline(run.id, after=events[1].id or 0) == events[2:]


def test_facts_that_are_no_move_are_noted(ledger: RunLedger, run: Run, told: list[Change]) -> None:
    told.clear()
    ledger.update_fields(run.id, run.project_id, hold="waits", base_sha="a" * 40)
    found = ledger.find(run.id)
    assert found is not None
    assert (found.hold, found.base_sha, found.status) == ("waits", "a" * 40, "queued")
    assert told == [RunChanged(run.id, "proj_1"), ProjectChanged("proj_1")]
    assert len(ledger.timeline(run.id)) == 1


@pytest.fixture
def mixed(ledger: RunLedger) -> dict[str, Run]:
    """One run in each state."""
    ended = {"ended_at": NOW}
    rows: dict[str, dict[str, Any]] = {
        "delayed": {"status": Status.DELAYED},
        "queued": {"status": Status.QUEUED},
        "starting": {"status": Status.STARTING},
        "running": {"status": Status.RUNNING},
        "delivering": {"status": Status.DELIVERING, "project_id": "proj_2"},
        "unproved": {"status": Status.STOPPED, **ended},
        "released": {"status": Status.DIED, **ended, "released_at": NOW},
    }
    return {
        name: add_run(ledger, created_at=NOW + timedelta(seconds=at), **columns)
        for at, (name, columns) in enumerate(rows.items())
    }


@pytest.mark.both_databases
def test_a_run_is_open_until_it_is_released(ledger: RunLedger, mixed: dict[str, Run]) -> None:
    names = {run.id: name for name, run in mixed.items()}
    assert [names[run.id] for run in ledger.open_runs()] == [
        *("delayed", "queued", "starting", "running", "delivering", "unproved"),
    ]
    assert len(ledger.open_runs("proj_1")) == 5
    with ledger.stores.control.reading() as session:
        assert run_ledger.count_open(session, "proj_1") == 5
        assert run_ledger.count_open(session, "proj_2") == 1
        assert len(list(run_ledger.find_open(session, "proj_1"))) == 5
        # an ended run whose exit is not proved still takes a slot
        assert run_ledger.count_live(session) == 4
        for name in ("queued", "unproved"):
            branch = mixed[name].work_branch
            found = run_ledger.find_open_on_branch(session, "proj_1", branch)
            assert found is not None
            assert found.id == mixed[name].id
        released = mixed["released"].work_branch
        assert run_ledger.find_open_on_branch(session, "proj_1", released) is None


def test_newest_runs_come_first(ledger: RunLedger, mixed: dict[str, Run]) -> None:
    newest = [run.id for run in ledger.newest_of("proj_1", limit=2)]
    assert newest == [mixed["released"].id, mixed["unproved"].id]


@pytest.mark.both_databases
def test_a_person_s_window_counts_what_was_charged_to_them(ledger: RunLedger) -> None:
    for seconds in (0, 10, 20):
        add_run(ledger, charged_to="person_1", created_at=NOW + timedelta(seconds=seconds))
    add_run(ledger, charged_to="person_2")
    add_run(ledger, charged_to=None)
    with ledger.stores.control.reading() as session:

        def charged(seconds: int) -> tuple[int, Any]:
            return run_ledger.charged_since(session, "person_1", NOW + timedelta(seconds=seconds))

        assert charged(-1) == (3, NOW)
        # a run leaves the window exactly when it is as old as the window
        assert charged(0) == (2, NOW + timedelta(seconds=10))
        assert charged(20) == (0, None)


def test_a_run_store_of_its_own_takes_the_ids_of_its_shape(
    open_database: Callable[[str], Any],
) -> None:
    stores = stores_on(open_database("control.db"), open_database("runs.db"))
    ledger = RunLedger(stores)
    old = add_run(ledger, id=run_id(split=False))
    new = add_run(ledger, id=run_id(split=True), created_at=NOW + timedelta(seconds=1))
    assert stores.owner_of(old.id) is stores.control
    assert stores.owner_of(new.id) is stores.runs
    assert stores.mint_run_id(NOW).endswith("1")
    assert [run.id for run in ledger.open_runs()] == [old.id, new.id]
    assert [run.id for run in ledger.newest_of("proj_1", limit=9)] == [new.id, old.id]
    assert ledger.find(new.id) == new
    assert [one.kind for one in ledger.timeline(new.id)] == ["accepted"]


def test_an_id_of_no_known_shape_is_asked_of_the_control_store(ledger: RunLedger) -> None:
    assert ledger.find("junk") is None
    assert ledger.find("") is None
    assert ledger.timeline("junk") == []
