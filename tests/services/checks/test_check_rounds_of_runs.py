"""Checks between a run's good end and its delivery: rounds, follow-ups, causes, and what is left.

The agents of these tests act only on what their prompts say.
"""

from __future__ import annotations

import pytest

from app.domain.projects.checks import Check
from app.failpoints import FailpointHit
from tests.drivers.checked_runs import (
    DEAF,
    EXPECTS,
    OBEDIENT,
    at_origin,
    begin,
    check,
    ends,
    log_of,
    results,
    strikes,
    to_the_end,
)
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import COMMIT, RealPlane


def test_commits_that_pass_are_delivered_and_the_copy_is_not_kept(plane: RealPlane) -> None:
    run = begin(plane, COMMIT, check("echo built > left_by_build"), check("true", "lint"))
    run = to_the_end(plane, run)
    assert (run.status, run.cause) == ("succeeded", "delivered"), run.because
    assert ends(plane, run) == [(1, "tests", "passed"), (1, "lint", "passed")]
    assert not run.parked
    assert not plane.copy(run).exists()
    kinds = plane.kinds(run)
    assert kinds.index("check_started") < kinds.index("check_ended") < kinds.index("delivered")
    assert "--- check “tests”, round 1 ---" in log_of(plane, run)


def test_an_agent_hears_what_failed_and_corrects_it(plane: RealPlane) -> None:
    run = to_the_end(plane, begin(plane, OBEDIENT, check(EXPECTS)))
    assert (run.status, run.cause) == ("succeeded", "delivered"), run.because
    assert ends(plane, run) == [(1, "tests", "failed"), (2, "tests", "passed")]
    assert run.turn == 2
    first, second = results(plane, run)
    assert first.sha != second.sha == run.head_sha
    assert at_origin(plane, run) == second.sha
    assert "followed_up" in plane.kinds(run)
    assert strikes(plane, run) == 0


def test_red_to_the_end_parks_the_work_and_strikes(plane: RealPlane) -> None:
    run = to_the_end(plane, begin(plane, DEAF, check(EXPECTS), check_rounds=1))
    assert (run.status, run.cause) == ("died", "checks_failed")
    assert run.because == "check “tests” failed: exit code 3"
    assert ends(plane, run) == [(1, "tests", "failed"), (2, "tests", "failed")]
    assert run.parked
    assert strikes(plane, run) == 1
    assert not at_origin(plane, run)


def test_red_to_the_end_is_delivered_as_a_draft_where_the_project_says_so(
    plane: RealPlane,
) -> None:
    terms = {"check_rounds": 0, "on_red": "deliver"}
    run = begin(plane, COMMIT, check(EXPECTS), check("true", "lint"), **terms)
    run = to_the_end(plane, run)
    assert (run.status, run.cause) == ("succeeded", "delivered_red")
    assert strikes(plane, run) == 0
    change = plane.services.changes.all(run.project_id)[0]
    assert change.draft
    assert "✗ check “tests” failed: exit code 3" in change.body
    assert "✓ check “lint” passed" in change.body


def test_a_draft_is_one_until_a_later_run_on_it_passes_the_checks(plane: RealPlane) -> None:
    terms = {"check_rounds": 0, "on_red": "deliver"}
    first = to_the_end(plane, begin(plane, COMMIT, check(EXPECTS), **terms))
    assert first.delivery is not None
    project, number = plane.project(first.project_id), first.delivery["number"]
    for answer, is_draft in (("wrong", True), ("right", False)):
        mark = "✗ check “tests” failed: exit code 3" if is_draft else "✓ check “tests” passed"
        agent = f"echo {answer} > answer.txt; git add -A; git commit -qm {answer}"
        plane.ledgers.projects.change(project.id, agent_command=["sh", "-c", agent])
        run = to_the_end(plane, plane.start_running(project, pr_number=number))
        assert run.status == "succeeded", run.because
        [change] = plane.services.changes.all(project.id)
        assert (change.draft, change.head_sha) == (is_draft, run.head_sha)
        assert change.body.endswith(f"Updated by run {run.id} with {run.agent}.\n\n- {mark}")


def test_a_check_that_is_not_there_ends_the_run_and_holds_the_loop(plane: RealPlane) -> None:
    missing = Check("tests", ("/nowhere/pytest",))
    run = to_the_end(plane, begin(plane, COMMIT, missing, check("true", "lint")))
    assert (run.status, run.cause) == ("died", "checks_error")
    assert ends(plane, run) == [(1, "tests", "error")]
    assert strikes(plane, run) == 0
    hold = plane.project(run.project_id).checks_error
    assert hold is not None
    assert hold.startswith("Check “tests” could not be started: The command was not found")
    assert run.parked


def test_a_check_that_is_not_required_never_holds_a_delivery(plane: RealPlane) -> None:
    run = to_the_end(plane, begin(plane, COMMIT, check("exit 1", "style", required=False)))
    assert (run.status, run.cause) == ("succeeded", "delivered")
    assert ends(plane, run) == [(1, "style", "failed")]


def test_a_check_over_its_own_time_has_failed(plane: RealPlane) -> None:
    slow = check("sleep 60", timeout_seconds=1)
    run = to_the_end(plane, begin(plane, COMMIT, slow, check_rounds=0))
    assert (run.status, run.cause) == ("died", "checks_failed")
    assert ends(plane, run) == [(1, "tests", "timed_out")]


def test_the_runs_own_deadline_ends_its_checks(plane: RealPlane) -> None:
    run = to_the_end(plane, begin(plane, COMMIT, check("sleep 60"), budget_seconds=3))
    assert (run.status, run.cause) == ("timed_out", "budget")
    assert ends(plane, run) == [(1, "tests", "timed_out")]
    assert run.parked


@pytest.mark.parametrize("moment", ["check", "turn"])
@pytest.mark.parametrize("on_red", ["park", "deliver"])
def test_red_work_ends_as_the_project_says_where_no_time_is_left_for_a_follow_up(
    plane: RealPlane, moment: str, on_red: str
) -> None:
    run = begin(plane, COMMIT, check("false"), on_red=on_red)
    plane.wait(lambda: plane.look(run).tree_gone, "the end of its agent")
    plane.reap(run)
    plane.wait(lambda: plane.look(run).tree_gone, "the end of its check")
    if moment == "turn":
        fail_at("step.before_launch")
        with pytest.raises(FailpointHit):
            plane.reap(run)
        clear_failpoints()
        assert (plane.run(run.id).status, plane.run(run.id).turn) == ("running", 2)
    plane.clock.advance(run.budget_seconds + 1)
    ended = to_the_end(plane, run)
    because = "check “tests” failed: exit code 1; no time was left for a follow-up"
    if on_red == "park":
        assert (ended.status, ended.cause, ended.because) == ("died", "checks_failed", because)
        assert strikes(plane, run) == 1
    else:
        assert (ended.status, ended.cause) == ("succeeded", "delivered_red")
        assert f"{because}; delivered as a draft" in plane.lines(run)
        assert plane.services.changes.all(run.project_id)[0].draft
    assert ends(plane, run) == [(1, "tests", "failed")]


@pytest.mark.parametrize("step", ["check", "turn"])
def test_a_stop_ends_a_run_in_any_step(plane: RealPlane, step: str) -> None:
    if step == "check":
        run = begin(plane, COMMIT, check("echo here; sleep 60"))
    else:
        agent = f"[ -e new.txt ] && {{ echo here; sleep 60; }}; {COMMIT}"
        run = begin(plane, agent, check("false"))

    def is_there() -> bool:
        if plane.look(run).tree_gone:
            plane.reap(run)
        return "\nhere" in log_of(plane, run)

    plane.wait(is_there, "the step")
    assert plane.run(run.id).status == ("checking" if step == "check" else "running")
    plane.stop_run(run)
    ended = to_the_end(plane, run)
    assert (ended.status, ended.cause) == ("stopped", "stopped")
    assert {one.status for one in results(plane, run)} == {
        "stopped" if step == "check" else "failed"
    }
    assert strikes(plane, run) == 0
    assert ended.parked


def test_what_a_check_changes_is_told_and_not_delivered(plane: RealPlane) -> None:
    formatter = check("echo formatted > new.txt; git commit -qam 'Format'", "format")
    run = to_the_end(plane, begin(plane, COMMIT, formatter, check("true")))
    assert (run.status, run.cause) == ("succeeded", "delivered")
    first, second = results(plane, run)
    assert (first.changed_files, second.changed_files) == (["new.txt"], [])
    assert "check “format” changed new.txt and moved the branch; not delivered" in plane.lines(run)
    assert at_origin(plane, run) == first.sha == run.head_sha


def test_a_daemon_of_a_check_is_ended_before_the_next_one(plane: RealPlane) -> None:
    daemon = check("setsid sh -c 'echo $$ > ../daemon; sleep 300' & sleep 0.3; true", "serve")
    run = to_the_end(plane, begin(plane, COMMIT, daemon, check("! kill -0 $(cat ../daemon)")))
    assert (run.status, run.cause) == ("succeeded", "delivered"), plane.lines(run)


def test_no_check_begins_while_a_kill_of_the_step_before_it_is_still_to_come(
    plane: RealPlane,
) -> None:
    run = begin(plane, COMMIT, check("true"))
    plane.wait(lambda: plane.look(run).tree_gone, "the end of its agent")
    ending = plane.reaper._checking._steps._ending
    ending.add(run.id)
    plane.reap(run)
    assert (plane.run(run.id).status, results(plane, run)) == ("checking", [])
    assert plane.run(run.id).hold is not None
    ending.remove(run.id)
    ended = to_the_end(plane, run)
    assert (ended.status, ended.hold) == ("succeeded", None)


def test_a_follow_up_that_dies_is_judged_by_its_own_end(plane: RealPlane) -> None:
    agent = f"[ -e new.txt ] && exit 7; {COMMIT}"
    run = to_the_end(plane, begin(plane, agent, check("false")))
    assert (run.status, run.cause, run.exit_code) == ("died", "exit_code", 7)
    assert strikes(plane, run) == 1


def test_a_follow_up_without_a_commit_is_checked_again_and_counts(plane: RealPlane) -> None:
    agent = f"[ -e new.txt ] || {{ {COMMIT}; }}"
    run = to_the_end(plane, begin(plane, agent, check("false"), check_rounds=2))
    assert (run.status, run.cause) == ("died", "checks_failed")
    assert [number for number, _, _ in ends(plane, run)] == [1, 2, 3]
