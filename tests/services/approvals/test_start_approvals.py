"""Starts that a person has to approve: they wait without a place, and end in every way."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain.words import Depth, Trigger
from app.errors import AlreadyAnswered, AlreadyEnded, Invalid
from app.records.tables import Approval, Project, Run
from app.services.rows import ApprovalFilter
from app.services.runs.requests import RunRequest
from tests.fakes.planes import TwinPlane


def asked(plane: TwinPlane, project: Project, **wishes: object) -> Run:
    """Have a run accepted."""
    order = RunRequest(project.id, Depth.QUICK, "auto", **wishes)  # pyright: ignore[reportArgumentType]
    run = plane.services.accept.accept(order, plane.requester(), plane.clock()).run
    plane.rest()
    return latest(plane, run)


def latest(plane: TwinPlane, run: Run) -> Run:
    """Return a run as it is now."""
    found = plane.ledgers.runs.find(run.id)
    assert found is not None
    return found


def pending(plane: TwinPlane) -> list[Approval]:
    """Return the pending approvals, newest first."""
    found, _, _ = plane.services.approval_requests.page(ApprovalFilter(), limit=50, cursor=None)
    return [one.row for one in found]


def test_a_run_waits_without_a_place_until_it_is_approved(twin: TwinPlane) -> None:
    project = twin.add_project(approve_start=True, max_concurrency=1)
    run, other = asked(twin, project), asked(twin, project, task="another")
    twin.tick()
    run = latest(twin, run)
    assert (run.status, run.hold, run.awaits_approval) == ("queued", "Waiting for approval", True)
    assert latest(twin, other).status == "queued"
    assert [one.run_id for one in pending(twin)] == [other.id, run.id]
    row = pending(twin)[1]
    twin.services.approval_requests.approve(row.id, twin.person, "fine", twin.clock())
    twin.rest()
    twin.tick()
    assert latest(twin, run).status == "running"
    words = [line.sentence for line in twin.ledgers.runs.timeline(run.id)]
    assert "approved by operator: fine" in words
    assert [one.run_id for one in pending(twin)] == [other.id]
    with pytest.raises(AlreadyAnswered):
        twin.services.approval_requests.approve(row.id, twin.person, "", twin.clock())
