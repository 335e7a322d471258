"""Crashes between the commits of two stores: their effects are repaired exactly once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from app.domain.ids import Store, store_of
from app.errors import StoreUnavailable
from app.failpoints import FailpointHit
from app.records.database.database import DatabaseSilent
from app.records.people.audit_ledger import Deed
from app.records.runs.quarantine_ledger import MOST_TRIES
from app.records.tables import Audit, Project, Run
from app.services.kept.retry import RetryOptions
from tests.builders.two_stores import Planes, die, found, order, requester, start, strikes
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.fakes.limited_agents import install_claude, limited
from tests.fakes.planes import FakePlane
from tests.fakes.world import World


@pytest.fixture
def cut() -> Any:
    """Set the failpoint that raises from now on; an empty name clears it."""

    def at(point: str) -> None:
        if point:
            fail_at(point)
        else:
            clear_failpoints()

    return at


def deed(plane: FakePlane, what: str, project: Project) -> Deed:
    return Deed(plane.person, what, f"{what} by a test", "corr", project.id)


def reset(plane: FakePlane, project: Project) -> None:
    plane.services.afk.reset(project.id, deed(plane, "reset", project), plane.clock())
    plane.rest()


def deeds(plane: FakePlane) -> list[str]:
    with plane.stores.control.reading() as session:
        return [one.deed for one in session.exec(select(Audit).order_by(col(Audit.id)))]


def lines(plane: FakePlane, run: Run) -> list[str]:
    return [event.sentence for event in plane.ledgers.runs.timeline(run.id)]


# --- a reset and earlier strikes ----------------------------------------------------------------


def die_untold(plane: FakePlane, world: World, project: Project, cut: Any) -> Run:
    """Let a run die whose strike has not reached the control store."""
    run = start(plane, project, issue=plane.add_issue(project))
    cut("before_consequences")
    world.end(run.id, 1)
    with pytest.raises(FailpointHit):
        plane.reaper.reap_once(run.id)
    cut("")
    return run


def test_f13_a_strike_of_before_a_reset_is_not_counted_after_it(
    planes: Planes, world: World, cut: Any
) -> None:
    plane = planes()
    project = plane.add_project(world)
    die_untold(plane, world, project, cut)
    reset(plane, project)
    assert strikes(plane, project) == 0
    plane.tick()
    assert planes().services.outbox.catch_up() == 0
    assert strikes(plane, project) == 0
    later = start(plane, project, issue=plane.add_issue(project))
    die(plane, world, later)
    assert strikes(plane, project) == 1


@pytest.mark.expects_error_log
def test_a_strike_that_could_not_be_counted_is_not_counted_after_a_reset_either(
    planes: Planes, world: World, cut: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = planes()
    project, other = plane.add_project(world), plane.add_project(world)
    strike = plane.services.outbox._kinds["strike"]

    def fail(*_: object) -> None:
        raise KeyError("strike")

    monkeypatch.setitem(plane.services.outbox._kinds, "strike", fail)
    sick = start(plane, project, issue=plane.add_issue(project))
    well = start(plane, other, issue=plane.add_issue(other))
    for run in (sick, well):
        die(plane, world, run)
    for _ in range(MOST_TRIES):
        plane.tick()
    assert len(plane.services.quarantine.held()) == 2
    cut("reset.between_stores")
    with pytest.raises(FailpointHit):
        reset(plane, project)
    cut("")
    reset(plane, project)
    monkeypatch.setitem(plane.services.outbox._kinds, "strike", strike)
    [held] = plane.services.quarantine.held()
    assert held.run_id == well.id
    plane.services.quarantine.try_again(held.key)
    plane.tick()
    assert (strikes(plane, project), strikes(plane, other)) == (0, 1)
    assert "not counted: the strikes were set to zero first" in lines(plane, sick)
    assert plane.services.quarantine.known() == []
    assert plane.services.outbox.catch_up() == 0


@pytest.mark.expects_error_log
def test_a_reset_that_cannot_hear_of_the_strikes_before_it_is_refused(
    planes: Planes, world: World, cut: Any
) -> None:
    plane = planes()
    project = plane.add_project(world)
    run = start(plane, project, issue=plane.add_issue(project))
    die(plane, world, run)
    plane.stop()
    away = "postgresql://127.0.0.1:1/away?connect_timeout=1"
    dead = FakePlane(plane.settings.data_root, world, runs_database_url=away)
    with pytest.raises((DatabaseSilent, StoreUnavailable)):
        reset(dead, project)
    assert (strikes(dead, project), deeds(dead)) == (1, [])
    dead.stop()


# --- work that passes between runs of both stores -----------------------------------------------


def kept_in_both(planes: Planes, world: World) -> tuple[FakePlane, Project, Run, Run]:
    """Two died runs with commits on one branch, the older from before the split."""
    before = planes(split=False)
    project = before.add_project(world)
    old = start(before, project, issue=before.add_issue(project))
    world.commit(old.id)
    die(before, world, old)
    after = planes(change_stores=True)
    new = start(after, project)
    world.commit(new.id)
    die(after, world, new)
    with after.stores.owner_of(new.id).transaction() as tx:
        same = {"work_branch": old.work_branch, "issue": old.issue}
        tx.execute(update(Run).where(col(Run.id) == new.id).values(**same))
    world.mirrors[project.id].pop(f"run/{new.id}")
    assert (store_of(old.id), store_of(new.id)) == (Store.CONTROL, Store.RUNS)
    assert found(after, old.id).parked
    assert found(after, new.id).parked
    return after, project, old, new


def retry(plane: FakePlane, first: Run, source: str) -> Run:
    wishes = RetryOptions(source=source)  # pyright: ignore[reportArgumentType]
    accepted = plane.services.retry.retry(first.id, wishes, plane.requester(), plane.clock())
    plane.rest()
    return found(plane, accepted.run.id)


@pytest.mark.expects_error_log
@pytest.mark.parametrize("of", [Store.CONTROL, Store.RUNS])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_work_that_was_passed_on_in_one_store_only_is_passed_on_in_both(
    planes: Planes, world: World, cut: Any, of: Store, is_restarted: bool
) -> None:
    plane, _, *kept = kept_in_both(planes, world)
    cut("pass_on.between_stores")
    # an undo that fails now is left to the next attempt
    world.is_stuck = is_restarted
    heir = retry(plane, next(run for run in kept if store_of(run.id) is of), "parked")
    cut("")
    assert (store_of(heir.id), heir.status) == (of, "not_started")
    world.is_stuck = False
    if is_restarted:
        assert heir.released_at is None
        plane = planes()
        plane.recover_once()
        plane.rest()
    heir = found(plane, heir.id)
    assert (heir.parked, heir.released_at is None) == (True, False)
    for run in kept:
        assert not found(plane, run.id).parked
        assert lines(plane, run).count(f"a retry continues on {heir.work_branch}") == 1
    again = retry(plane, heir, "parked")
    assert again.status == "running", again.because


@pytest.mark.expects_error_log
@pytest.mark.parametrize("point", ["rename.between_stores", "retry.after_rename"])
def test_work_that_was_set_aside_in_one_store_only_is_back_in_both(
    planes: Planes, world: World, cut: Any, point: str
) -> None:
    plane, project, *kept = kept_in_both(planes, world)
    heads, branch = dict(world.mirrors[project.id]), kept[0].work_branch
    cut(point)
    heir = retry(plane, kept[1], "fresh")
    # the undo was cut between the stores, too
    assert heir.status == "not_started"
    cut("")
    plane = planes()
    plane.recover_once()
    plane.rest()
    for run in kept:
        now = found(plane, run.id)
        assert (now.work_branch, now.parked) == (branch, True)
    assert world.mirrors[project.id] == heads
    assert found(plane, heir.id).released_at is not None
    assert not found(plane, heir.id).parked


def test_a_discard_that_was_cut_between_the_stores_is_completed_by_the_next(
    planes: Planes, world: World, cut: Any
) -> None:
    plane, project, *kept = kept_in_both(planes, world)
    branch = kept[0].work_branch

    def discard() -> int:
        said = deed(plane, "discard", project)
        return plane.services.parked.discard(project.id, branch, branch, said, plane.clock())

    cut("discard.between_stores")
    with pytest.raises(FailpointHit):
        discard()
    cut("")
    assert [found(plane, run.id).parked for run in kept].count(True) == 1
    plane = planes()
    assert [view.branch for view in plane.services.parked.all(plane.clock())] == [branch]
    assert discard() == 1
    assert [found(plane, run.id).parked for run in kept] == [False, False]
    plane.tick()
    # a person discarded twice
    assert deeds(plane) == ["discard", "discard"]
    for run in kept:
        assert lines(plane, run).count("discard by a test") == 1


# --- decisions across both stores ---------------------------------------------------------------


def test_a_batch_that_is_cut_between_the_stores_is_opened_and_charged_once(
    planes: Planes, world: World, cut: Any
) -> None:
    plane = planes(run_quota=10)
    project = plane.add_project(world)
    cut("batch.between_stores")
    with pytest.raises(FailpointHit):
        plane.services.batches.open(project.id, 4, None, requester(plane, "night"), plane.clock())
    cut("")
    plane = planes(run_quota=10)
    opened = [
        plane.services.batches.open(project.id, 4, None, requester(plane, "night"), plane.clock())
        for _ in range(2)
    ]
    assert [one.replayed for one in opened] == [False, True]
    assert len({one.batch.id for one in opened}) == 1
    assert plane.services.batches.window(plane.person, plane.clock()).used == 4


def test_a_key_whose_reset_is_cut_between_the_stores_is_reset_by_the_next(
    planes: Planes, world: World, cut: Any
) -> None:
    before = planes(split=False, key_ttl_seconds=60)
    project = before.add_project(world)
    old = before.services.accept.accept(
        order(project), requester(before, "key"), before.clock()
    ).run
    before.rest()
    die(before, world, old)
    plane = planes(change_stores=True, key_ttl_seconds=60)
    plane.clock.now = before.clock.advance(120)
    # the old run's key has expired: both runs have it
    new = plane.services.accept.accept(order(project), requester(plane, "key"), plane.clock()).run
    cut("key_reset.between_stores")
    with pytest.raises(FailpointHit):
        plane.services.keys.reset(project.id, "key", plane.person, plane.clock())
    cut("")
    plane = planes(key_ttl_seconds=60)
    again = plane.services.accept.accept(order(project), requester(plane, "key"), plane.clock())
    assert (again.run.id, again.replayed) == (new.id, True)
    plane.services.keys.reset(project.id, "key", plane.person, plane.clock())
    assert [found(plane, run.id).idempotency_key for run in (old, new)] == [None, None]
    assert lines(plane, new).count("its idempotency key was reset") == 1


@pytest.mark.expects_error_log
def test_a_resume_that_is_cut_between_the_stores_is_accepted_by_the_next_sweep_once(
    tmp_path: Path, cut: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNYARD_TEST_SPLIT", "1")
    for name, value in install_claude(tmp_path / "bin").items():
        monkeypatch.setenv(name, value)
    with limited(tmp_path / "data") as yard:
        run = yard.meet_limit(yard.order(yard.project()))
        assert store_of(run.id) is Store.RUNS
        cut("accept.between_stores")
        yard.pass_limit()
        # the hold names a run that does not exist
        probe = yard.hold().probe_run_id
        assert probe is not None
        assert yard.plane.ledgers.runs.find(probe) is None
        cut("")
        for _ in range(3):
            yard.tick(after=61)
        [heir] = yard.heirs(run)
        assert heir.status == "running"


def test_a_merge_that_is_cut_between_the_stores_is_told_once(
    planes: Planes, world: World, cut: Any
) -> None:
    plane = planes()
    project = plane.add_project(world)
    run = start(plane, project, issue=plane.add_issue(project))
    world.commit(run.id)
    world.end(run.id, 0)
    plane.reaper.reap_once(run.id)
    plane.rest()
    delivery = found(plane, run.id).delivery
    assert delivery is not None
    cut("after_change_ended")
    with pytest.raises(FailpointHit):
        plane.services.changes.merge(project.id, delivery["number"], plane.clock())
    cut("")
    plane = planes()
    assert [plane.services.changes.finish_once(plane.clock()) for _ in range(2)] == [1, 0]
    delivery = found(plane, run.id).delivery
    assert delivery is not None
    assert delivery["state"] == "merged"
    assert lines(plane, run).count(f"change request #{delivery['number']} merged") == 1


def test_stores_that_were_cut_while_they_learned_of_each_other_learn_it_at_the_next_start(
    planes: Planes, world: World, cut: Any
) -> None:
    cut("agree.between_stores")
    with pytest.raises(FailpointHit):
        planes()
    cut("")
    plane = planes()
    start(plane, plane.add_project(world))
    planes()
