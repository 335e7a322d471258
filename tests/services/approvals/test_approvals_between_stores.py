"""Approvals of runs in a second database, and crashes between its commit and the other's."""

from __future__ import annotations

import pytest

from app.failpoints import FailpointHit
from app.records.tables import Approval, Run
from app.services.rows import ApprovalFilter
from tests.builders.two_stores import Planes, found, order
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.fakes.planes import FakePlane
from tests.fakes.world import World


def approvals_of(plane: FakePlane, run: Run) -> list[Approval]:
    """Return the approvals of a run, in every state."""
    wanted = ApprovalFilter(None, run_id=run.id)
    rows, _, _ = plane.services.approval_requests.page(wanted, limit=50, cursor=None)
    return [one.row for one in rows]


def accepted(plane: FakePlane, world: World) -> Run:
    """Return a run that waits for approval."""
    project = plane.add_project(world, approve_start=True)
    return plane.services.accept.accept(order(project), plane.requester(), plane.clock()).run


@pytest.mark.parametrize("split", [True, False])
def test_a_start_is_asked_for_and_approved_in_either_store(
    planes: Planes, world: World, *, split: bool
) -> None:
    plane = planes(split=split)
    run = accepted(plane, world)
    plane.rest()
    (row,) = approvals_of(plane, run)
    assert (row.state, row.title) == ("pending", run.title)
    plane.services.approval_requests.approve(row.id, plane.person, "", plane.clock())
    plane.rest()
    assert [one.state for one in approvals_of(plane, run)] == ["approved"]
    plane.tick()
    assert found(plane, run.id).status == "running"


@pytest.mark.parametrize("split", [True, False])
def test_a_crash_right_after_the_accept_loses_no_approval(
    planes: Planes, world: World, *, split: bool
) -> None:
    plane = planes(split=split)
    project = plane.add_project(world, approve_start=True)
    fail_at("after_accept")
    with pytest.raises(FailpointHit):
        plane.services.accept.accept(order(project), plane.requester(), plane.clock())
    clear_failpoints()
    (run,) = plane.ledgers.runs.open_runs(project.id)
    assert len(approvals_of(plane, run)) == (0 if split else 1)
    plane.stop()
    later = planes(split=split)
    later.recover_once()
    later.tick()
    assert [one.state for one in approvals_of(later, run)] == ["pending"]
    again = found(later, run.id)
    assert (again.status, again.hold) == ("queued", "Waiting for approval")


@pytest.mark.parametrize("answer", ["approve", "reject"])
@pytest.mark.parametrize("split", [True, False])
def test_a_crash_right_after_the_answer_counts_it_once(
    planes: Planes, world: World, answer: str, *, split: bool
) -> None:
    plane = planes(split=split)
    run = accepted(plane, world)
    plane.rest()
    (row,) = approvals_of(plane, run)
    fail_at("after_approval")
    deed = getattr(plane.services.approval_requests, answer)
    with pytest.raises(FailpointHit):
        deed(row.id, plane.person, "because", plane.clock())
    clear_failpoints()
    plane.stop()
    later = planes(split=split)
    later.recover_once()
    later.tick()
    (row,) = approvals_of(later, run)
    after = {"approve": ("approved", "running"), "reject": ("rejected", "stopped")}
    assert (row.state, found(later, run.id).status) == after[answer]
    assert [one["comment"] for one in row.answers] == ["because"]
    words = [line.sentence for line in later.ledgers.runs.timeline(run.id)]
    assert sum("because" in one for one in words) == 1


@pytest.mark.parametrize("split", [True, False])
def test_stopping_a_run_withdraws_its_approval_in_either_store(
    planes: Planes, world: World, *, split: bool
) -> None:
    plane = planes(split=split)
    run = accepted(plane, world)
    plane.rest()
    plane.services.stopper.stop(run.id, "enough", plane.clock())
    plane.rest()
    plane.tick()
    assert [one.state for one in approvals_of(plane, run)] == ["withdrawn"]
