"""A delivery that ends between push and change request blocks nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.records.people.audit_ledger import Deed
from app.records.tables import Project, Run
from app.services.kept.retry import RetryOptions
from tests.builders.pushes import write_trusted_hook
from tests.builders.repositories import tip_of
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import RealPlane
from tests.fakes.planes import TwinPlane


def at_origin(plane: RealPlane, run: Run) -> str:
    origin = Path(plane.project(run.project_id).origin)
    return tip_of(origin, f"refs/heads/{run.work_branch}")


def stopped_behind_its_push(plane: RealPlane, project: Project) -> Run:
    """Return a run stopped after origin took its push without confirming it."""
    hook = write_trusted_hook(plane, project, "post-receive", "kill -9 $PPID")
    run = plane.see_end(plane.start_running_issue(project))
    hook.unlink()
    assert run.status == "delivering"
    run = plane.stop_run(run)
    assert (run.status, run.delivery, run.parked) == ("stopped", None, True)
    assert at_origin(plane, run) == run.head_sha
    return run


def test_a_discard_clears_what_was_pushed_before_a_stop(plane: RealPlane) -> None:
    project = plane.add_project()
    run = stopped_behind_its_push(plane, project)
    branch, deed = run.work_branch, Deed(plane.person, "discard", "by a test", "corr")
    plane.services.parked.discard(project.id, branch, branch, deed, plane.clock())
    assert at_origin(plane, run) == ""
    plane.clock.advance(5)
    assert plane.finish(project, issue=1).status == "succeeded"


def test_a_fresh_retry_clears_what_was_pushed_before_a_stop(plane: RealPlane) -> None:
    project = plane.add_project()
    run = stopped_behind_its_push(plane, project)
    plane.clock.advance(5)
    wishes = RetryOptions(source="fresh")
    again = plane.services.retry.retry(run.id, wishes, plane.requester(), plane.clock()).run
    plane.rest()
    assert plane.see_end(plane.run(again.id)).status == "succeeded"


def test_a_push_is_told_once_however_often_it_is_tried(plane: RealPlane) -> None:
    project = plane.add_project()
    hook = write_trusted_hook(plane, project, "pre-receive", "kill -9 $PPID")
    run = plane.see_end(plane.start_running_issue(project))
    for _ in range(2):
        plane.clock.advance(60)
        plane.tick()
    hook.unlink()
    plane.clock.advance(60)
    plane.tick()
    run = plane.run(run.id)
    assert run.status == "succeeded"
    told = f"pushing {run.work_branch} at {(run.head_sha or '')[:7]}"
    assert plane.lines(run).count(told) == 1


@pytest.mark.expects_error_log
def test_a_delivery_that_fails_unexpectedly_is_traced_once_held_and_put_off(
    twin: TwinPlane, caplog: pytest.LogCaptureFixture
) -> None:
    project = twin.add_project()
    fail_at("delivery.after_push")
    run = twin.see_end(twin.start_running_issue(project))
    held = "delivery waits: internal error; see the log"
    assert (run.status, run.hold) == ("delivering", held)
    clear_failpoints()
    # not at every tick: the pause is the same as for an origin that does not answer
    twin.tick()
    assert twin.run(run.id).status == "delivering"
    fail_at("delivery.after_push")
    twin.clock.advance(5)
    twin.tick()
    assert [one.levelname for one in caplog.records].count("ERROR") == 1
    clear_failpoints()
    twin.clock.advance(5)
    twin.tick()
    assert twin.run(run.id).status == "delivering"
    twin.clock.advance(5)
    twin.tick()
    assert twin.run(run.id).status == "succeeded"
