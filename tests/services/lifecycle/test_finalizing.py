"""After an end: one kill event, a proved release, and nothing lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from app.adapters.engine.local import LocalEngine
from app.adapters.engine.processes import ProcessTable
from app.domain.end_causes import ExitReason, ExitRecord
from app.failpoints import FailpointHit
from app.records.people.audit_ledger import Deed
from app.records.tables import Project, Run
from app.services.lifecycle.steps import UNPROVED
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import COMMIT, RealPlane
from tests.fakes.planes import FakePlane, TwinPlane
from tests.fakes.world import World


@contextmanager
def no_process_table(plane: RealPlane) -> Iterator[None]:
    """Make the process table unreadable, so that no exit can be proved."""
    engine = plane.adapters.engine
    assert isinstance(engine, LocalEngine)
    seeing = engine._table
    engine._table = ProcessTable(engine._instance, str(plane.folder / "no-such-table"))
    yield
    engine._table = seeing


def mirrors_away(plane: RealPlane, run: Run) -> Path:
    return plane.settings.runs_root / "mirrors"


def mirror_away(plane: RealPlane, run: Run) -> Path:
    return plane.settings.runs_root / "mirrors" / f"{run.project_id}.git"


def copies_away(plane: RealPlane, run: Run) -> Path:
    return plane.copy(run).parent


@contextmanager
def moved(place: Path) -> Iterator[None]:
    """Move one of our folders away."""
    away = place.rename(place.with_name("away"))
    yield
    away.rename(place)


def test_a_kill_that_cannot_be_proved_is_told_once_held_and_tried_until_it_is(
    plane: RealPlane,
) -> None:
    run = plane.start_running(plane.add_project("sleep 600"))
    with no_process_table(plane):
        run = plane.stop_run(run)
        for _ in range(3):
            plane.tick()
            run = plane.run(run.id)
            assert (run.status, run.released_at, run.hold) == ("stopped", None, UNPROVED)
        assert plane.kinds(run).count("kill_sent") == 1
    plane.clock.advance(60)
    plane.tick()
    run = plane.run(run.id)
    assert (run.hold, run.released_at) == (None, plane.clock())
    assert plane.kinds(run).count("kill_sent") == 1
    assert plane.look(run).tree_gone


COMMITS, LEAVES_A_FILE = f"{COMMIT}; exit 5", "echo x > draft.txt; exit 5"


@pytest.mark.parametrize(
    ("place", "agent"),
    [
        (mirrors_away, COMMITS),
        (mirror_away, LEAVES_A_FILE),
        (copies_away, COMMITS),
        pytest.param(mirrors_away, LEAVES_A_FILE, marks=pytest.mark.soak),
        pytest.param(mirror_away, COMMITS, marks=pytest.mark.soak),
        pytest.param(copies_away, LEAVES_A_FILE, marks=pytest.mark.soak),
    ],
)
def test_what_cannot_be_read_after_the_end_is_kept_and_parked(
    plane: RealPlane, place: Callable[[RealPlane, Run], Path], agent: str
) -> None:
    run = plane.start_running_issue(plane.add_project(agent))
    plane.ears.wait_for(run.id, "gone")
    with moved(place(plane, run)):
        run = plane.reap(run)
        assert (run.status, run.cause, run.parked) == ("died", "exit_code", True)
        assert run.released_at is not None
    assert plane.copy(run).is_dir()
    assert plane.tip(run) == run.base_sha


@pytest.mark.expects_error_log
@pytest.mark.parametrize(
    ("agent", "is_parked"), [(COMMIT, False), (f"{COMMIT}; exit 5", True), ("exit 5", True)]
)
def test_a_crash_between_the_copy_and_the_release_loses_nothing(
    plane: RealPlane, agent: str, is_parked: bool
) -> None:
    run = plane.start_running_issue(plane.add_project(agent))
    plane.ears.wait_for(run.id, "gone")
    fail_at("during_teardown")
    with suppress(FailpointHit):
        plane.reaper.reap_once(run.id)
    plane.rest()
    crashed = plane.run(run.id)
    assert (crashed.ended_at is not None, crashed.released_at) == (True, None)
    assert not plane.copy(run).exists()
    clear_failpoints()
    plane.tick()
    run = plane.run(run.id)
    assert (run.released_at is not None, run.parked) == (True, is_parked)
    assert plane.tip(run) == run.head_sha
    assert plane.project(run.project_id).strikes == crashed.is_strike
    assert plane.kinds(run).count("reaped") == (agent != COMMIT)


def test_what_an_interrupted_removal_left_goes_with_the_next_look(plane: RealPlane) -> None:
    run = plane.start_running_issue(plane.add_project("exit 5"))
    plane.ears.wait_for(run.id, "gone")
    fail_at("during_teardown")
    with pytest.raises(FailpointHit):
        plane.reaper.reap_once(run.id)
    clear_failpoints()
    # the copy was deleted; the repository for inspecting it was not yet
    look = plane.settings.runs_root / "looks" / f"{run.id}.git"
    look.mkdir()
    plane.tick()
    assert plane.run(run.id).released_at is not None
    assert not look.exists()


def end_unproved(plane: TwinPlane, project: Project) -> Run:
    """Return a delivered run whose exit is unproved."""
    run = plane.start_running_issue(project)
    plane.world.commit(run.id)
    plane.world.end(run.id)
    plane.world.processes[run.id].is_proved_gone = False
    run = plane.reap(run)
    assert (run.status, run.released_at) == ("succeeded", None)
    plane.world.processes[run.id].is_proved_gone = True
    return run


@pytest.mark.parametrize("by_hand", [False, True])
def test_what_is_closed_before_a_run_is_proved_gone_is_parked_and_can_be_discarded(
    twin: TwinPlane, by_hand: bool
) -> None:
    project = twin.add_project()
    run = end_unproved(twin, project)
    # a close has the queue looked at again, which would release a run that is proved gone
    twin.world.processes[run.id].is_proved_gone = not by_hand
    twin.services.changes.close(project.id, 2, twin.clock())
    deed = Deed(twin.person, "x", "by a test", "corr")
    if by_hand:
        twin.services.salvage.release(run.id, deed, twin.clock())
    else:
        twin.rest()
        run = twin.reap(run)
    [view] = twin.services.parked.all(twin.clock())
    assert view.because == "change request #2 was closed without merging"
    branch = run.work_branch
    twin.services.parked.discard(project.id, branch, branch, deed, twin.clock())
    assert twin.services.issues.claimable(project) == [1]


def test_what_is_merged_before_a_run_is_proved_gone_leaves_no_branch_anywhere(
    twin: TwinPlane,
) -> None:
    project = twin.add_project()
    run = end_unproved(twin, project)
    twin.services.changes.merge(project.id, 2, twin.clock())
    twin.rest()
    twin.tick()
    run = twin.run(run.id)
    assert (run.released_at is not None, run.parked, twin.tip(run)) == (True, False, None)
    assert run.work_branch not in twin.world.origins[project.origin]


def test_a_clock_that_was_set_back_spares_no_process_that_stays(tmp_path: Path) -> None:
    world = World()
    plane = FakePlane(tmp_path, world)
    try:
        project = plane.add_project(world)
        number = plane.add_issue(project)
        run = plane.services.afk.start(project.id, number, plane.requester(), plane.clock()).run
        plane.rest()
        # the supervisor has recorded the agent's exit but never exits itself
        ended = ExitRecord(3, None, ExitReason.EXITED, plane.clock())
        world.processes[run.id].exit = ended
        plane.reaper.reap_once(run.id)
        plane.rest()
        assert world.processes[run.id].is_alive
        plane.clock.advance(-3600)
        plane.reaper.reap_once(run.id)
        plane.rest()
        assert not world.processes[run.id].is_alive
        found = plane.ledgers.runs.find(run.id)
        assert found is not None
        assert (found.status, found.released_at is not None) == ("died", True)
    finally:
        plane.rest()
        plane.stop()
