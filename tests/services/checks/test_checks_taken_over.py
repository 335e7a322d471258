"""A run in its checks outlives a crash, a move to split stores, and its server: no step twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.domain.projects.checks import Check
from app.failpoints import FailpointHit
from app.records.tables import Run
from tests.builders.databases import shared_database
from tests.builders.two_stores import Planes, found
from tests.drivers.checked_runs import ends
from tests.drivers.failpoints import clear_failpoints, fail_at, hold_at
from tests.fakes.agents.runs import until
from tests.fakes.planes import FakePlane
from tests.fakes.world import World

TESTS = Check("tests", ("/bin/true",))
POINTS = [
    "check.state_kept",
    "check.begun",
    "step.before_launch",
    "step.after_keep",
    "step.after_launch",
    "check.ended",
    "check.decided",
]


def begin(plane: FakePlane, world: World, *checks: Check) -> Run:
    """Start a run of an issue; its agent has committed and ended, but was not yet reaped."""
    project = plane.add_project(world, checks=[one.as_data() for one in checks or (TESTS,)])
    number = plane.add_issue(project)
    run = plane.services.afk.start(project.id, number, plane.requester(), plane.clock()).run
    plane.rest()
    end_step(world, run.id)
    return found(plane, run.id)


def end_step(world: World, run_id: str) -> None:
    """Let the newest step end, if it lives: agents commit, and only a second round passes."""
    process = world.processes[run_id]
    if process.step.check is None and process.is_alive:
        world.commit(run_id)
    is_red = process.step.check is not None and process.step.turn == 1
    world.end(run_id, 1 if is_red else 0)


def reap(plane: FakePlane, run: Run) -> Run:
    plane.reaper.reap_once(run.id)
    plane.rest()
    return found(plane, run.id)


def to_the_end(plane: FakePlane, world: World, run: Run) -> Run:
    """Let step after step end until the run is released."""
    for _ in range(20):
        end_step(world, run.id)
        run = reap(plane, run)
        if run.released_at is not None:
            return run
    raise AssertionError(f"it is still {run.status}: {run.hold}")


def must_be_delivered_in_four_steps(plane: FakePlane, world: World, run: Run) -> None:
    """Check that agent, check, agent and check began once each, in this order."""
    run = found(plane, run.id)
    assert (run.status, run.cause, run.turn) == ("succeeded", "delivered", 2), run.because
    assert [suffix for _, suffix in world.steps] == ["", ".1.c1", ".2", ".2.c1"]
    assert world.launches == [run.id] * 4
    assert ends(plane, run) == [(1, "tests", "failed"), (2, "tests", "passed")]
    kinds = [line.kind for line in plane.ledgers.runs.timeline(run.id)]
    expected = {"check_started": 2, "check_ended": 2, "followed_up": 1, "delivered": 1}
    assert {kind: kinds.count(kind) for kind in expected} == expected


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_any_line_costs_nothing_and_repeats_nothing(
    planes: Planes, world: World, point: str, *, split: bool
) -> None:
    plane = planes(split=split)
    run = begin(plane, world)
    fail_at(point)
    with pytest.raises(FailpointHit):
        to_the_end(plane, world, run)
    clear_failpoints()
    plane.stop()
    plane = planes(split=split)
    plane.recover_once()
    plane.rest()
    to_the_end(plane, world, run)
    must_be_delivered_in_four_steps(plane, world, run)


def test_a_run_in_its_checks_goes_on_where_it_was_after_the_stores_are_split(
    planes: Planes, world: World
) -> None:
    plane = planes(split=False)
    run = reap(plane, begin(plane, world))
    assert run.status == "checking"
    plane.stop()
    plane = planes(change_stores=True)
    plane.recover_once()
    plane.rest()
    to_the_end(plane, world, run)
    must_be_delivered_in_four_steps(plane, world, run)
    assert plane.stores.owner_of(run.id) is plane.stores.control


def test_a_check_that_is_missing_holds_the_loop_across_two_stores(
    planes: Planes, world: World
) -> None:
    plane = planes(split=True)
    run = reap(plane, begin(plane, world, Check("tests", ("/nowhere/pytest",))))
    assert (run.status, run.cause) == ("died", "checks_error")
    assert plane.stores.owner_of(run.id) is not plane.stores.control
    project = plane.ledgers.projects.find(run.project_id)
    assert project is not None
    assert (project.checks_error or "").startswith("Check “tests” could not be started")


# --- two servers -------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path: Path, world: World) -> Iterator[tuple[FakePlane, FakePlane]]:
    """Two servers on one database and one folder of runs."""
    shared = {"database_url": shared_database(tmp_path), "runs_dir": tmp_path / "runs"}
    with ExitStack() as after:
        servers: list[FakePlane] = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            servers.append(FakePlane(tmp_path / name, world, **shared))
            after.callback(servers[-1].stop)
        yield servers[0], servers[1]


def take_for_dead(two: FakePlane, one: FakePlane) -> None:
    """Let the clock of the second server pass the lease of the first one."""
    two.clock.now = one.clock.now
    two.clock.advance(60)
    two.leases.renew_once(two.clock())


def test_checks_pass_to_the_next_server_when_theirs_is_gone(
    pair: tuple[FakePlane, FakePlane], world: World
) -> None:
    one, two = pair
    run = reap(one, begin(one, world))
    end_step(world, run.id)
    reap(two, run)
    # the first server lives, so the check is its own
    assert ends(two, run) == [(1, "tests", "running")]
    take_for_dead(two, one)
    assert (reap(two, run).status, len(world.launches)) == ("running", 3)
    end_step(world, run.id)
    # back from its pause, the first one leaves alone what is not its own any more
    assert reap(one, run).status == "running"
    to_the_end(two, world, run)
    must_be_delivered_in_four_steps(two, world, run)
    assert found(two, run.id).server == two.services.ownership.here.server


@pytest.mark.parametrize("point", ["check.begun", "step.before_launch", "step.after_keep"])
def test_a_server_taken_for_dead_as_it_begins_a_check_begins_it_alone(
    pair: tuple[FakePlane, FakePlane], world: World, tmp_path: Path, point: str
) -> None:
    one, two = pair
    run = begin(one, world)
    hold_at(point, tmp_path / "go")
    reaper = threading.Thread(target=one.reaper.reap_once, args=(run.id,))
    reaper.start()
    until((tmp_path / "go.reached.0").exists, "the first is about to begin it")
    take_for_dead(two, one)
    assert not two.reaper.reap_once(run.id)
    (tmp_path / "go").touch()
    reaper.join(30)
    clear_failpoints()
    to_the_end(two, world, run)
    must_be_delivered_in_four_steps(two, world, run)


def test_a_step_of_a_run_that_was_taken_over_meanwhile_does_not_begin(
    pair: tuple[FakePlane, FakePlane], world: World, tmp_path: Path
) -> None:
    """The servers' lock failed: it lay on a disk that was mounted anew."""
    one, two = pair
    run = begin(one, world)
    hold_at("step.before_launch", tmp_path / "go")
    reaper = threading.Thread(target=one.reaper.reap_once, args=(run.id,))
    reaper.start()
    until((tmp_path / "go.reached.0").exists, "the first is about to begin it")
    assert two.ledgers.runs.take_over(run, server=two.services.ownership.here.server)
    (tmp_path / "go").touch()
    reaper.join(30)
    clear_failpoints()
    one.rest()
    assert len(world.launches) == 1
    to_the_end(two, world, run)
    must_be_delivered_in_four_steps(two, world, run)
