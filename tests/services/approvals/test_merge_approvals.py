"""Changes that people have to approve before they are merged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.errors import AlreadyAnswered, AlreadyEnded, ApprovalNeeded, OwnApproval
from app.records.tables import Approval, ChangeRequest, Membership, Person, Project
from app.records.tables.people import DEFAULT_ORGANISATION
from app.services.rows import ApprovalFilter
from tests.builders.repositories import run_git
from tests.drivers.planes import RealPlane

ADDS = "echo one > one.txt; git add .; git commit -qm 'Add one'"
CHECK = {"name": "tests", "command": ["true"], "timeout_seconds": 60, "required": True}


def delivered(plane: RealPlane, **settings: Any) -> tuple[Project, ChangeRequest]:
    """Return a project whose changes need approvals, and the change of a person's run."""
    project = plane.add_project(ADDS)
    plane.ledgers.projects.change(project.id, **{"approve_merge": 1} | settings)
    run = plane.see_end(plane.start_running(project, issue=plane.add_issue(project).number))
    for _ in range(9):
        if run.status not in ("running", "checking", "delivering"):
            break
        run = plane.see_end(run)
    plane.rest()
    return project, plane.services.changes.all(project.id)[0]


def person(plane: RealPlane, name: str) -> str:
    """Add another person, as the organisation's admin will."""
    id_ = plane.stores.mint_control_id("person", plane.clock())
    with plane.stores.control.transaction() as tx:
        tx.add(Person(id=id_, name=name, created_at=plane.clock()))
        tx.flush()
        organisation = DEFAULT_ORGANISATION
        tx.add(Membership(person_id=id_, organisation_id=organisation, role="operator"))
    return id_


def rows(plane: RealPlane, state: str | None = None) -> list[Approval]:
    """Return the approvals in a state, or all, the oldest first."""
    found, _, _ = plane.services.approval_requests.page(
        ApprovalFilter(state),  # pyright: ignore[reportArgumentType]
        limit=50,
        cursor=None,
    )
    return [one.row for one in reversed(found)]


def test_a_change_is_merged_only_once_another_person_has_approved_it(plane: RealPlane) -> None:
    project, change = delivered(plane, approve_merge=2)
    merge, approvals = plane.services.changes.merge, plane.services.approval_requests
    (row,) = rows(plane, "pending")
    assert (row.kind, row.change, row.head_sha) == ("merge", change.number, change.head_sha)
    assert row.asked_by == plane.person
    with pytest.raises(ApprovalNeeded) as refused:
        merge(project.id, change.number, plane.clock(), push_anyway=True)
    assert refused.value.members == {"needed": 2, "approvals": 0, "approval": row.id}
    assert refused.value.detail == (
        f"Change request #{change.number} needs 2 more approvals before it is merged."
    )
    ann, ben = person(plane, "Ann"), person(plane, "Ben")
    approvals.approve(row.id, ann, "", plane.clock())
    with pytest.raises(AlreadyAnswered):
        approvals.approve(row.id, ann, "again", plane.clock())
    with pytest.raises(ApprovalNeeded, match=r"needs 1 more approval "):
        merge(project.id, change.number, plane.clock())
    approvals.approve(row.id, ben, "looks right", plane.clock())
    assert [one.state for one in rows(plane)] == ["approved"]
    assert merge(project.id, change.number, plane.clock()).state == "merged"
    told = [line.sentence for line in plane.ledgers.runs.timeline(change.run_id or "")]
    assert f"merge of change request #{change.number} approved by Ben: looks right" in told
    assert change.head_sha in run_git(Path(project.origin), "log", "--format=%H", "main")


def test_who_started_the_run_may_not_approve_its_merge(plane: RealPlane) -> None:
    _, change = delivered(plane)
    (row,) = rows(plane, "pending")
    approve = plane.services.approval_requests.approve
    with pytest.raises(OwnApproval, match="there is no other person here") as refused:
        approve(row.id, plane.person, "", plane.clock())
    assert (refused.value.status, refused.value.code) == (403, "forbidden")
    person(plane, "Ann")
    with pytest.raises(OwnApproval, match="another person has to approve it"):
        approve(row.id, plane.person, "", plane.clock())
    assert [one.answers for one in rows(plane)] == [[]]
    assert plane.services.changes.find(change.project_id, change.number).state == "open"


def test_new_commits_make_earlier_approvals_void(plane: RealPlane) -> None:
    project, change = delivered(plane)
    (row,) = rows(plane, "pending")
    plane.services.approval_requests.approve(row.id, person(plane, "Ann"), "", plane.clock())
    other = "f" * 40
    plane.clock.advance(1)
    plane.ledgers.tracker.update_change(project.id, change.number, head_sha=other)
    plane.rest()
    assert [(one.state, one.head_sha) for one in rows(plane)] == [
        ("approved", change.head_sha),
        ("pending", other),
    ]
    with pytest.raises(ApprovalNeeded):
        plane.services.changes.merge(project.id, change.number, plane.clock(), push_anyway=True)
    plane.clock.advance(1)
    plane.ledgers.tracker.update_change(project.id, change.number, head_sha="e" * 40)
    plane.rest()
    assert [one.state for one in rows(plane)] == ["approved", "withdrawn", "pending"]


def test_a_refused_change_is_not_merged_at_that_commit(plane: RealPlane) -> None:
    project, change = delivered(plane)
    (row,) = rows(plane, "pending")
    plane.services.approval_requests.reject(row.id, plane.person, "wrong file", plane.clock())
    with pytest.raises(ApprovalNeeded, match="may not be merged: operator refused it: wrong file"):
        plane.services.changes.merge(project.id, change.number, plane.clock())
    assert [one.state for one in rows(plane)] == ["rejected"]
    assert plane.services.approval_requests.settle_once(plane.clock()) == 0


def test_an_expired_request_is_made_again_when_somebody_wants_to_merge(plane: RealPlane) -> None:
    project, change = delivered(plane, approval_days=1)
    plane.clock.advance(86400)
    assert plane.services.approval_requests.settle_once(plane.clock()) == 1
    assert plane.services.approval_requests.settle_once(plane.clock()) == 0
    assert [one.state for one in rows(plane)] == ["expired"]
    with pytest.raises(ApprovalNeeded):
        plane.services.changes.merge(project.id, change.number, plane.clock())
    assert [one.state for one in rows(plane)] == ["expired", "pending"]


def test_closing_a_change_or_the_setting_withdraws_the_request(plane: RealPlane) -> None:
    project, change = delivered(plane)
    plane.ledgers.projects.change(project.id, approve_merge=0)
    assert plane.services.approval_requests.settle_once(plane.clock()) == 1
    assert [one.state for one in rows(plane)] == ["withdrawn"]
    plane.ledgers.projects.change(project.id, approve_merge=1)
    with pytest.raises(ApprovalNeeded):
        plane.services.changes.merge(project.id, change.number, plane.clock())
    plane.services.changes.close(project.id, change.number, plane.clock())
    assert [one.state for one in rows(plane)] == ["withdrawn", "withdrawn"]


def test_autoland_waits_for_the_approval_and_lands_then(plane: RealPlane) -> None:
    rules = {"enabled": True, "max_files": 3, "max_lines": 40, "protected_paths": []}
    project, change = delivered(plane, checks=[CHECK], autoland=rules)
    assert change.state == "open"
    assert change.autoland_note == (
        f"Not landed by itself: change request #{change.number} needs 1 more approval before it "
        "is merged."
    )
    (row,) = rows(plane, "pending")
    plane.services.approval_requests.approve(row.id, person(plane, "Ann"), "", plane.clock())
    plane.rest()
    assert plane.services.changes.find(project.id, change.number).state == "merged"


def test_a_change_that_origin_holds_already_is_recorded_without_approval(
    plane: RealPlane,
) -> None:
    project, change = delivered(plane)
    run_git(Path(project.origin), "merge", "--no-edit", change.branch)
    assert plane.services.changes.finish_once(plane.clock()) == 1
    assert plane.services.changes.find(project.id, change.number).state == "merged"
    assert [one.state for one in rows(plane)] == ["withdrawn"]


def test_a_project_that_wants_more_or_fewer_approvals_counts_those_it_has(
    plane: RealPlane,
) -> None:
    project, change = delivered(plane)
    approvals, merge = plane.services.approval_requests, plane.services.changes.merge
    (row,) = rows(plane, "pending")
    approvals.approve(row.id, person(plane, "Ann"), "", plane.clock())
    plane.ledgers.projects.change(project.id, approve_merge=2)
    plane.clock.advance(1)
    with pytest.raises(ApprovalNeeded, match="needs 1 more approval"):
        merge(project.id, change.number, plane.clock())
    assert [one.state for one in rows(plane)] == ["approved", "pending"]
    plane.ledgers.projects.change(project.id, approve_merge=1)
    assert approvals.settle_once(plane.clock()) == 1
    assert [one.state for one in rows(plane)] == ["approved", "approved"]
    assert merge(project.id, change.number, plane.clock()).state == "merged"


def test_an_approval_of_commits_that_moved_meanwhile_is_refused(plane: RealPlane) -> None:
    project, change = delivered(plane)
    (row,) = rows(plane, "pending")
    with plane.stores.control.transaction() as tx:
        # as another server would, before this one has looked
        tx.get_one(ChangeRequest, (project.id, change.number)).head_sha = "d" * 40
    with pytest.raises(AlreadyEnded, match="got other commits"):
        plane.services.approval_requests.approve(row.id, person(plane, "Ann"), "", plane.clock())
    plane.clock.advance(1)
    assert plane.services.approval_requests.settle_once(plane.clock()) == 2
    assert [one.state for one in rows(plane)] == ["withdrawn", "pending"]
