"""Rounds of checks, follow-ups and their causes, on the in-memory twin: a test ends each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.domain.end_causes import ExitReason
from app.domain.projects.checks import Check
from app.domain.words import Cause
from app.failpoints import FailpointHit
from app.records.tables import Run
from app.services.lifecycle.steps import OVERDUE_SECONDS, UNPROVED
from tests.drivers.checked_runs import ends, results
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.fakes.planes import TwinPlane

TESTS, LINT = Check("tests", ("/bin/sh", "-c", "make test")), Check("lint", ("/bin/true",))
SLOW = Check("tests", ("/bin/sh", "-c", "make test"), timeout_seconds=600)


def begin(plane: TwinPlane, *checks: Check, **settings: Any) -> Run:
    """Return a run of an issue whose agent has committed and ended, in its first check."""
    stored = [one.as_data() for one in checks or (TESTS,)]
    run = plane.start_running_issue(plane.add_project(checks=stored, **settings))
    return commit(plane, run)


def commit(plane: TwinPlane, run: Run) -> Run:
    """Let the agent commit and end."""
    plane.world.commit(run.id)
    return end(plane, run)


def end(plane: TwinPlane, run: Run, *codes: int) -> Run:
    """Let the newest step of a run end with each code in turn."""
    for code in codes or (0,):
        plane.world.end(run.id, code)
        run = plane.reap(run)
    return run


def outcome(plane: TwinPlane, run: Run) -> tuple[str, str | None, int]:
    """Return status, cause and strikes of a run."""
    latest = plane.run(run.id)
    return latest.status, latest.cause, plane.project(run.project_id).strikes


def hold(plane: TwinPlane, run: Run) -> str | None:
    return plane.project(run.project_id).checks_error


def test_all_that_pass_deliver_and_the_copy_is_not_kept(twin: TwinPlane) -> None:
    run = end(twin, begin(twin, TESTS, LINT), 0, 0)
    assert outcome(twin, run) == ("succeeded", "delivered", 0), run.because
    assert ends(twin, run) == [(1, "tests", "passed"), (1, "lint", "passed")]
    assert not run.parked, twin.lines(run)
    kinds = twin.kinds(run)
    assert kinds.index("check_started") < kinds.index("check_ended") < kinds.index("delivered")


def test_an_agent_that_failed_a_check_has_another_turn_and_a_second_round(twin: TwinPlane) -> None:
    run = end(twin, begin(twin), 3)
    assert (run.status, run.turn) == ("running", 2)
    assert "Check “tests” failed: exit code 3" in twin.world.orders[run.id].prompt
    run = end(twin, commit(twin, run), 0)
    assert outcome(twin, run) == ("succeeded", "delivered", 0)
    assert ends(twin, run) == [(1, "tests", "failed"), (2, "tests", "passed")]
    first, second = results(twin, run)
    assert first.sha != second.sha == run.head_sha
    assert "followed_up" in twin.kinds(run)


def test_red_to_the_end_parks_the_work_and_strikes(twin: TwinPlane) -> None:
    run = end(twin, commit(twin, end(twin, begin(twin, check_rounds=1), 3)), 3)
    assert outcome(twin, run) == ("died", "checks_failed", 1)
    assert run.because == "check “tests” failed: exit code 3"
    assert ends(twin, run) == [(1, "tests", "failed"), (2, "tests", "failed")]
    assert run.parked
    assert run.work_branch not in twin.world.origins[twin.project(run.project_id).origin]


def test_red_to_the_end_is_delivered_as_a_draft_where_the_project_says_so(twin: TwinPlane) -> None:
    run = end(twin, begin(twin, TESTS, LINT, check_rounds=0, on_red="deliver"), 3, 0)
    assert outcome(twin, run) == ("succeeded", "delivered_red", 0)
    change = twin.services.changes.all(run.project_id)[0]
    assert change.draft
    assert "✗ check “tests” failed: exit code 3" in change.body
    assert "✓ check “lint” passed" in change.body


def test_a_check_that_is_not_required_never_holds_a_delivery(twin: TwinPlane) -> None:
    style = Check("style", ("/bin/true",), required=False)
    run = end(twin, begin(twin, style), 1)
    assert outcome(twin, run) == ("succeeded", "delivered", 0)
    assert ends(twin, run) == [(1, "style", "failed")]


def test_a_follow_up_that_dies_is_judged_by_its_own_end(twin: TwinPlane) -> None:
    run = end(twin, begin(twin), 1, 7)
    assert outcome(twin, run) == ("died", "exit_code", 1)
    assert run.exit_code == 7


def test_a_follow_up_without_a_commit_is_checked_again_and_counts(twin: TwinPlane) -> None:
    run = end(twin, begin(twin, check_rounds=2), 1, 0, 1, 0, 1)
    assert outcome(twin, run) == ("died", "checks_failed", 1)
    assert [number for number, _, _ in ends(twin, run)] == [1, 2, 3]


@pytest.mark.parametrize(("step", "check_ends"), [("check", "stopped"), ("turn", "failed")])
def test_a_stop_ends_a_run_in_any_step(twin: TwinPlane, step: str, check_ends: str) -> None:
    run = begin(twin)
    if step == "turn":
        run = end(twin, run, 1)
    assert run.status == ("checking" if step == "check" else "running")
    run = twin.stop_run(run)
    assert outcome(twin, run) == ("stopped", "stopped", 0)
    assert [one.status for one in results(twin, run)] == [check_ends]
    assert run.released_at is not None
    assert run.parked


# --- checks that cannot be run -----------------------------------------------------------------


def test_a_check_that_is_not_there_ends_the_run_and_holds_the_loop(twin: TwinPlane) -> None:
    run = begin(twin, Check("tests", ("/nowhere/pytest",)), LINT)
    assert outcome(twin, run) == ("died", "checks_error", 0)
    assert ends(twin, run) == [(1, "tests", "error")]
    because = "Check “tests” could not be started: The command was not found"
    assert (hold(twin, run) or "").startswith(because)
    assert run.parked


def fill_the_disk_during(plane: TwinPlane, run: Run) -> None:
    plane.world.end(run.id, 1, reason=ExitReason.DISK_FULL)


def fill_the_disk_before(plane: TwinPlane, run: Run) -> None:
    plane.world.launch_problem = "The run's folder could not be written."
    plane.world.launch_cause = Cause.DISK_FULL
    plane.world.end(run.id)


@pytest.mark.parametrize("crashes", [False, True])
@pytest.mark.parametrize("when", [fill_the_disk_during, fill_the_disk_before])
def test_a_full_disk_is_no_fault_of_a_check_also_after_a_crash(
    twin: TwinPlane, when: Callable[[TwinPlane, Run], None], *, crashes: bool
) -> None:
    run = begin(twin, LINT, TESTS)
    if when is fill_the_disk_during:
        run = end(twin, run)
    when(twin, run)
    if crashes:
        fail_at("before_reap_commit")
        with pytest.raises(FailpointHit):
            twin.reaper.reap_once(run.id)
        clear_failpoints()
    run = twin.reap(run)
    assert outcome(twin, run) == ("died", "disk_full", 0)
    assert (run.because or "").startswith("the disk is full: check “tests” could not be run")
    assert ends(twin, run) == [(1, "lint", "passed"), (1, "tests", "error")]
    # the loop goes on: only a person can change a check, but the disk may have room again
    assert hold(twin, run) is None


def test_a_check_waits_for_processes_that_may_be_left_of_the_step_before(twin: TwinPlane) -> None:
    twin.world.not_yet = "processes of the step before it are still there"
    run = begin(twin)
    assert (run.status, ends(twin, run)) == ("checking", [(1, "tests", "running")])
    because = "check “tests” could not be begun; retrying: processes of the step before it"
    assert (run.hold or "").startswith(because)
    twin.world.not_yet = ""
    run = end(twin, twin.reap(run))
    assert (outcome(twin, run), run.hold) == (("succeeded", "delivered", 0), None)


def test_a_follow_up_waits_for_processes_that_may_be_left_of_the_check(twin: TwinPlane) -> None:
    run = begin(twin)
    twin.world.not_yet = "processes of the step before it are still there"
    run = end(twin, run, 1)
    assert (run.status, run.turn) == ("running", 2)
    because = "its follow-up could not be begun; retrying: processes of the step before it"
    assert (run.hold or "").startswith(because)
    twin.world.not_yet = ""
    run = end(twin, commit(twin, twin.reap(run)))
    assert outcome(twin, run) == ("succeeded", "delivered", 0)


# --- time --------------------------------------------------------------------------------------


def time_out(plane: TwinPlane, run: Run) -> None:
    """Let a check's supervisor end it at its time."""
    plane.world.end(run.id, None, signal=15, reason=ExitReason.DEADLINE)


def test_a_check_over_its_own_time_has_failed(twin: TwinPlane) -> None:
    run = begin(twin, SLOW, check_rounds=0)
    time_out(twin, run)
    run = twin.reap(run)
    assert outcome(twin, run) == ("died", "checks_failed", 1)
    assert run.because == "check “tests” timed out: it ran for more than 600 s"


@pytest.mark.parametrize("crashes", [False, True])
def test_the_runs_own_deadline_in_a_check_ends_the_run_also_after_a_crash(
    twin: TwinPlane, *, crashes: bool
) -> None:
    style = Check("style", ("/bin/true",), timeout_seconds=600, required=False)
    run = begin(twin, style, budget_seconds=300)
    twin.clock.advance(300)
    time_out(twin, run)
    if crashes:
        fail_at("check.ended")
        with pytest.raises(FailpointHit):
            twin.reaper.reap_once(run.id)
        clear_failpoints()
    run = twin.reap(run)
    assert outcome(twin, run) == ("timed_out", "budget", 1)
    assert [one.because for one in results(twin, run)] == ["the run's time was used up"]
    assert run.parked


@pytest.mark.parametrize("moment", ["check", "turn"])
@pytest.mark.parametrize("on_red", ["park", "deliver"])
def test_red_work_ends_as_the_project_says_where_no_time_is_left_for_a_follow_up(
    twin: TwinPlane, moment: str, on_red: str
) -> None:
    run = begin(twin, on_red=on_red)
    twin.world.end(run.id, 1)
    if moment == "turn":
        fail_at("step.before_launch")
        with pytest.raises(FailpointHit):
            twin.reaper.reap_once(run.id)
        clear_failpoints()
        assert (twin.run(run.id).status, twin.run(run.id).turn) == ("running", 2)
    twin.clock.advance(run.budget_seconds + 1)
    run = twin.reap(run)
    because = "check “tests” failed: exit code 1; no time was left for a follow-up"
    if on_red == "park":
        assert outcome(twin, run) == ("died", "checks_failed", 1)
        assert run.because == because
    else:
        assert outcome(twin, run) == ("succeeded", "delivered_red", 0)
        assert f"{because}; delivered as a draft" in twin.lines(run)
        assert twin.services.changes.all(run.project_id)[0].draft
    assert ends(twin, run) == [(1, "tests", "failed")]


@pytest.mark.parametrize(
    ("budget", "expected", "because"),
    [
        (3600, ("died", "checks_failed", 1), "it ran for more than 600 s"),
        (300, ("timed_out", "budget", 1), "the run's time was used up"),
    ],
)
def test_a_check_whose_supervisor_does_not_end_it_is_ended_by_the_server(
    twin: TwinPlane, budget: int, expected: tuple[str, str, int], because: str
) -> None:
    run = begin(twin, SLOW, check_rounds=0, budget_seconds=budget)
    twin.clock.advance(min(600, budget) + OVERDUE_SECONDS)
    twin.world.processes[run.id].overrun = OVERDUE_SECONDS - 1
    assert twin.reap(run).status == "checking"
    twin.world.processes[run.id].overrun = OVERDUE_SECONDS
    run = twin.reap(run)
    assert outcome(twin, run) == expected
    assert [one.because for one in results(twin, run)] == [because]


@pytest.mark.parametrize("budget", [3600, 300])
def test_a_late_check_that_was_killed_with_its_supervisor_has_run_out_of_time(
    twin: TwinPlane, budget: int
) -> None:
    run = begin(twin, SLOW, check_rounds=0, budget_seconds=budget)
    twin.clock.advance(min(600, budget))
    twin.world.lose(run.id)
    run = twin.reap(run)
    assert [one.status for one in results(twin, run)] == ["timed_out"]
    assert run.status == ("timed_out" if budget == 300 else "died")


# --- the machine and its processes -------------------------------------------------------------


def test_a_check_whose_processes_are_gone_without_a_record_is_no_strike(twin: TwinPlane) -> None:
    run = begin(twin)
    twin.world.lose(run.id)
    run = twin.reap(run)
    assert outcome(twin, run) == ("died", "session_gone", 0)
    assert [one.status for one in results(twin, run)] == ["error"]
    assert hold(twin, run) is None


def shut_down(plane: TwinPlane, run: Run) -> None:
    """Restart the machine in the orderly way: a supervisor records that it was asked to end."""
    plane.world.end(run.id, None, signal=15, reason=ExitReason.STOPPED)
    plane.world.reboot()


def lose_power(plane: TwinPlane, _: Run) -> None:
    plane.world.reboot()


@pytest.mark.parametrize("restart", [shut_down, lose_power])
def test_a_restart_of_the_machine_in_a_check_ends_the_run_without_a_strike(
    twin: TwinPlane, restart: Callable[[TwinPlane, Run], None]
) -> None:
    run = begin(twin)
    restart(twin, run)
    run = twin.reap(run)
    assert outcome(twin, run) == ("died", "host_restarted", 0)
    assert [one.status for one in results(twin, run)] == ["error"]
    assert hold(twin, run) is None
    assert run.parked


@pytest.mark.parametrize(("code", "status"), [(0, "passed"), (1, "failed")])
def test_a_check_that_ended_before_the_machine_was_restarted_has_its_result(
    twin: TwinPlane, code: int, status: str
) -> None:
    run = begin(twin, TESTS, LINT, check_rounds=0)
    twin.world.end(run.id, code)
    twin.world.reboot()
    run = end(twin, twin.reap(run))
    assert ends(twin, run) == [(1, "tests", status), (1, "lint", "passed")]
    assert run.status == ("succeeded" if code == 0 else "died")


def test_what_cannot_be_seen_leaves_a_check_as_it_is(twin: TwinPlane) -> None:
    run = begin(twin)
    twin.world.is_silent = True
    run = twin.reap(run)
    assert (run.status, ends(twin, run)) == ("checking", [(1, "tests", "running")])
    twin.world.is_silent = False
    assert outcome(twin, end(twin, run)) == ("succeeded", "delivered", 0)


# --- kills between steps -----------------------------------------------------------------------


def test_no_step_begins_while_a_kill_of_the_step_before_it_is_under_way(twin: TwinPlane) -> None:
    run = begin(twin, TESTS, LINT)
    twin.world.processes[run.id].overrun = OVERDUE_SECONDS
    seen: list[tuple[str, int]] = []

    def end_meanwhile() -> None:
        twin.world.while_killing = lambda: None
        twin.world.end(run.id)
        twin.wait(lambda: twin.reaper.reap_once(run.id), "the end of the reap that decided to kill")
        seen.append((twin.run(run.id).status, len(results(twin, run))))

    twin.world.while_killing = end_meanwhile
    run = twin.reap(run)
    assert seen == [("checking", 1)]
    assert ends(twin, run) == [(1, "tests", "passed"), (1, "lint", "running")]
    assert twin.world.processes[run.id].is_alive
    assert outcome(twin, end(twin, run)) == ("succeeded", "delivered", 0)


def test_a_kill_that_comes_late_does_not_meet_the_next_step(twin: TwinPlane) -> None:
    run = begin(twin, TESTS, LINT)
    stale = twin.run(run.id)
    run = end(twin, run)
    twin.reaper._kills.begin(stale)
    twin.rest()
    assert twin.world.processes[run.id].is_alive
    assert outcome(twin, end(twin, run)) == ("succeeded", "delivered", 0)


def test_a_step_waits_for_a_kill_by_another_server(twin: TwinPlane) -> None:
    run = begin(twin, TESTS, LINT)
    with twin.locks.holding(f"kill {run.id}"):
        run = end(twin, run)
        assert ends(twin, run) == [(1, "tests", "passed"), (1, "lint", "running")]
        assert (run.hold or "").endswith("the step before it is still being ended")
        assert not twin.world.processes[run.id].is_alive
    run = end(twin, twin.reap(run))
    assert outcome(twin, run) == ("succeeded", "delivered", 0)


def test_a_check_that_cannot_be_killed_keeps_its_run_and_says_so(twin: TwinPlane) -> None:
    run = begin(twin)
    process = twin.world.processes[run.id]
    process.overrun, process.can_be_killed = OVERDUE_SECONDS, False
    for _ in range(2):
        run = twin.reap(run)
        assert (run.status, run.hold) == ("checking", UNPROVED)
    process.can_be_killed = True
    assert twin.reap(run).status != "checking"
