"""Checks of real agents' work before its delivery, with real processes and repositories.

What rounds decide is tested in test_check_rounds.py, on the in-memory twin.
"""

from __future__ import annotations

from tests.drivers.checked_runs import (
    EXPECTS,
    OBEDIENT,
    at_origin,
    begin,
    check,
    ends,
    log_of,
    results,
    to_the_end,
)
from tests.drivers.planes import COMMIT, RealPlane


def test_an_agent_hears_what_failed_and_corrects_it(plane: RealPlane) -> None:
    run = to_the_end(plane, begin(plane, OBEDIENT, check(EXPECTS)))
    assert (run.status, run.cause) == ("succeeded", "delivered"), run.because
    assert ends(plane, run) == [(1, "tests", "failed"), (2, "tests", "passed")]
    assert run.turn == 2
    first, second = results(plane, run)
    assert first.sha != second.sha == run.head_sha
    assert at_origin(plane, run) == second.sha
    assert "--- check “tests”, round 2 ---" in log_of(plane, run)
    assert not run.parked
    assert not plane.copy(run).exists()


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


def test_what_a_check_changes_is_told_and_not_delivered(plane: RealPlane) -> None:
    formatter = check("echo formatted > new.txt; git commit -qam 'Format'", "format")
    run = to_the_end(plane, begin(plane, COMMIT, formatter, check("true")))
    assert (run.status, run.cause) == ("succeeded", "delivered")
    first, second = results(plane, run)
    assert (first.changed_files, second.changed_files) == (["new.txt"], [])
    assert "check “format” changed new.txt and moved the branch; not delivered" in plane.lines(run)
    assert at_origin(plane, run) == first.sha == run.head_sha
