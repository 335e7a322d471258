"""Approvals as people hear of them: notifications, the inbox, and the items of batches."""

from __future__ import annotations

from pathlib import Path

from app.domain.review.inbox import ItemKind
from app.domain.words import Depth
from app.records.tables import Approval, Project, Run
from app.services.rows import ApprovalFilter
from app.services.runs.requests import RunRequest
from tests.builders.batches import a_batch
from tests.builders.notifications import telling
from tests.fakes.planes import FakePlane
from tests.fakes.world import World


def asked(plane: FakePlane, project: Project, task: str) -> Run:
    """Have a run accepted."""
    order = RunRequest(project.id, Depth.QUICK, "auto", task=task)
    run = plane.services.accept.accept(order, plane.requester(), plane.clock()).run
    plane.rest()
    return run


def pending(plane: FakePlane) -> list[Approval]:
    """Return the pending approvals."""
    found, _, _ = plane.services.approval_requests.page(ApprovalFilter(), limit=50, cursor=None)
    return [one.row for one in found]


def test_it_is_told_that_one_waits_and_how_it_ended(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        project = yard.project(approve_start=True, approval_days=1)
        plane, approvals = yard.plane, yard.plane.services.approval_requests
        run = asked(plane, project, "Round per line")
        yard.go_round()
        (message,) = yard.taken()
        assert message.title == "Runyard: yard0 needs you: a run waits for approval"
        (row,) = pending(plane)
        (item,) = plane.services.inbox.all()
        assert f"http://127.0.0.1:8080{item.url}" in message.body.splitlines()
        assert "Round per line" in message.body
        approvals.reject(row.id, plane.person, "too early", plane.clock())
        yard.go_round()
        assert yard.titles()[1:] == [
            "Runyard: yard0 a run does not start: its approval was refused"
        ]
        assert run.id in yard.taken()[1].body
        asked(plane, project, "Export as CSV")
        plane.clock.advance(86400)
        assert approvals.expire_once(plane.clock()) == 1
        yard.go_round()
        assert yard.titles()[-1] == "Runyard: yard0 a run does not start: its approval expired"
        assert {kind for kind, _ in yard.states()} == {"needs_you"}


def test_the_inbox_has_what_waits_until_it_is_answered(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        plane, inbox = yard.plane, yard.plane.services.inbox
        project = yard.project(approve_start=True)
        run = asked(plane, project, "Round per line")
        (row,) = pending(plane)
        (item,) = inbox.all()
        assert (item.kind, item.title, item.approval) == (
            ItemKind.APPROVAL,
            "Round per line",
            row.id,
        )
        assert (item.sentence, item.url) == (
            "The start of a run waits for approval.",
            f"/runs/{run.id}",
        )
        plane.services.approval_requests.approve(row.id, plane.person, "", plane.clock())
        assert inbox.all() == ()


def test_each_item_of_a_batch_waits_for_its_own_approval(tmp_path: Path) -> None:
    world = World()
    plane = FakePlane(tmp_path, world)
    try:
        project = plane.add_project(world, approve_start=True)
        a_batch(plane, project, 3)
        plane.tick()
        runs = plane.ledgers.runs.open_runs(project.id)
        assert {(run.status, run.hold) for run in runs} == {("queued", "Waiting for approval")}
        first, second, _ = pending(plane)
        approvals = plane.services.approval_requests
        approvals.approve(first.id, plane.person, "", plane.clock())
        approvals.reject(second.id, plane.person, "not this", plane.clock())
        plane.tick()
        stands = {run.id: run.status for run in plane.ledgers.runs.open_runs(project.id)}
        assert stands.pop(str(first.run_id)) == "running"
        assert list(stands.values()) == ["queued"]
    finally:
        plane.rest()
        plane.stop()
