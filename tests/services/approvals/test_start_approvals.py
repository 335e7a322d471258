"""Starts that a person has to approve: they wait without a place, and end in every way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from app.domain.words import Depth
from app.errors import AlreadyAnswered, Invalid
from app.records.tables import Approval, Audit, Project, Run
from app.services.rows import ApprovalFilter
from app.services.runs.requests import RetryOf, RunRequest
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
    """Return the pending approvals, the oldest first."""
    found, _, _ = plane.services.approval_requests.page(ApprovalFilter(), limit=50, cursor=None)
    return [one.row for one in reversed(found)]


def row_of(plane: TwinPlane, run: Run) -> Approval:
    """Return the approval of a run's start."""
    wanted = ApprovalFilter(None, run_id=run.id)
    (found,), _, _ = plane.services.approval_requests.page(wanted, limit=50, cursor=None)
    return found.row


def audited(plane: TwinPlane, deed: str) -> list[Audit]:
    """Return the audit's rows of a deed."""
    with plane.stores.control.reading() as session:
        return list(session.exec(select(Audit).where(Audit.deed == deed)))


def strikes(plane: TwinPlane, project: Project) -> int:
    """Return how many failures in a row a project has."""
    found = plane.ledgers.projects.find(project.id)
    assert found is not None
    return found.strikes


def test_a_run_waits_without_a_place_until_it_is_approved(twin: TwinPlane) -> None:
    project = twin.add_project(approve_start=True, max_concurrency=1)
    run = asked(twin, project)
    twin.clock.advance(1)
    other = asked(twin, project, task="another")
    twin.tick()
    run = latest(twin, run)
    assert (run.status, run.hold, run.awaits_approval) == ("queued", "Waiting for approval", True)
    assert [one.run_id for one in pending(twin)] == [run.id, other.id]
    approvals = twin.services.approval_requests
    approvals.approve(row_of(twin, run).id, twin.person, "fine", twin.clock())
    approvals.approve(row_of(twin, other).id, twin.person, "", twin.clock())
    twin.rest()
    twin.tick()
    assert latest(twin, run).status == "running"
    words = [line.sentence for line in twin.ledgers.runs.timeline(run.id)]
    assert words[0] == "api · branch main · waits for approval"
    assert "approved by operator: fine" in words
    # approved, but its project is full
    waits = latest(twin, other)
    assert (waits.status, waits.hold) == (
        "queued",
        "waits for this project's other runs: 1 of 1 are active",
    )
    twin.see_end(latest(twin, run))
    twin.rest()
    twin.tick()
    assert latest(twin, other).status == "running"


def test_who_answers_second_is_refused(twin: TwinPlane) -> None:
    project = twin.add_project(approve_start=True)
    row = row_of(twin, asked(twin, project))
    approvals, now = twin.services.approval_requests, twin.clock()
    approvals.approve(row.id, twin.person, "", now)
    with pytest.raises(AlreadyAnswered):
        approvals.approve(row.id, twin.person, "", now)
    with pytest.raises(AlreadyAnswered):
        approvals.reject(row.id, twin.person, "late", now)
    assert row_of(twin, asked_run(twin, row)).state == "approved"


def asked_run(plane: TwinPlane, row: Approval) -> Run:
    """Return the run that an approval is about."""
    found = plane.ledgers.runs.find(row.run_id or "")
    assert found is not None
    return found


def test_a_refused_start_stops_the_run_and_is_no_failure(twin: TwinPlane) -> None:
    project = twin.add_project(approve_start=True)
    number = twin.add_issue(project).number
    run = asked(twin, project, issue=number)
    approvals, now = twin.services.approval_requests, twin.clock()
    with pytest.raises(Invalid):
        approvals.reject(row_of(twin, run).id, twin.person, "", now)
    approvals.reject(row_of(twin, run).id, twin.person, "not today", now)
    twin.rest()
    run = latest(twin, run)
    assert (run.status, run.cause, run.is_strike) == ("stopped", "approval_refused", False)
    assert run.because == "its start was refused by operator: not today"
    assert run.released_at is not None
    assert strikes(twin, project) == 0
    row = row_of(twin, run)
    assert (row.state, row.because, row.ended_at) == ("rejected", run.because, now)
    # nothing of it is left in the way of the next start
    assert asked(twin, project, issue=number).status == "queued"


def test_an_approval_expires_and_stops_the_run(twin: TwinPlane) -> None:
    project = twin.add_project(approve_start=True, approval_days=2)
    run = asked(twin, project)
    row = row_of(twin, run)
    assert row.expires_at == run.created_at + timedelta(days=2)
    approvals = twin.services.approval_requests
    twin.clock.advance(2 * 86400 - 1)
    assert approvals.expire_once(twin.clock()) == 0
    twin.clock.advance(1)
    assert approvals.expire_once(twin.clock()) == 1
    assert approvals.expire_once(twin.clock()) == 0
    run = latest(twin, run)
    assert (run.status, run.cause, run.because) == (
        "stopped",
        "approval_expired",
        "its approval expired",
    )
    assert row_of(twin, run).state == "expired"
    (told,) = audited(twin, "expire_approval")
    assert (told.via, told.person, told.object) == ("loop", None, row.id)


def test_a_delayed_run_may_be_approved_or_refused_before_its_time(twin: TwinPlane) -> None:
    project = twin.add_project(approve_start=True, approval_days=1)
    first = asked(twin, project, delay_seconds=3600)
    second = asked(twin, project, delay_seconds=3600, task="another")
    assert (first.status, first.hold) == ("delayed", "Waiting for approval")
    assert first.due_at is not None
    assert row_of(twin, first).expires_at == first.due_at + timedelta(days=1)
    approvals, now = twin.services.approval_requests, twin.clock()
    approvals.approve(row_of(twin, first).id, twin.person, "", now)
    approvals.reject(row_of(twin, second).id, twin.person, "no", now)
    assert latest(twin, first).status == "delayed"
    assert latest(twin, second).cause == "approval_refused"
    third = asked(twin, project, delay_seconds=3600, task="a third")
    twin.clock.advance(3600)
    twin.tick()
    assert latest(twin, first).status == "running"
    waits = latest(twin, third)
    assert (waits.status, waits.hold) == ("queued", "Waiting for approval")


def test_stopping_a_run_withdraws_its_approval(twin: TwinPlane) -> None:
    project = twin.add_project(approve_start=True)
    run = asked(twin, project)
    row = row_of(twin, run)
    twin.services.stopper.stop(run.id, "changed my mind", twin.clock())
    twin.rest()
    assert latest(twin, run).cause == "stopped"
    assert (row_of(twin, run).state, pending(twin)) == ("withdrawn", [])
    with pytest.raises(AlreadyAnswered):
        twin.services.approval_requests.approve(row.id, twin.person, "", twin.clock())


def test_a_run_whose_time_to_live_is_over_expires_unapproved(twin: TwinPlane) -> None:
    project = twin.add_project(approve_start=True)
    run = asked(twin, project, ttl_seconds=60)
    twin.clock.advance(61)
    twin.tick()
    assert latest(twin, run).status == "expired"
    assert row_of(twin, run).state == "withdrawn"


def test_the_loop_asks_once_and_leaves_a_refused_issue_to_people(twin: TwinPlane) -> None:
    project = twin.add_project(approve_start=True, auto_enabled=True)
    first, second = twin.add_issue(project).number, twin.add_issue(project).number
    twin.tick()
    twin.tick()
    (row,) = pending(twin)
    assert (row.issue, row.asked_by) == (first, None)
    plan = twin.services.afk.plan(project.id, twin.clock())
    assert (plan.would, plan.because) == (None, "an auto run is under way")
    approvals = twin.services.approval_requests
    approvals.reject(row.id, twin.person, "not this one", twin.clock())
    twin.tick()
    (row,) = pending(twin)
    assert row.issue == second
    holds = dict(twin.services.afk.plan(project.id, twin.clock()).holds)
    assert holds[first] == "left to a person: its last start was not approved"
    # a person may start it, and the loop takes it up again once that was approved
    by_hand = asked(twin, project, issue=first)
    assert {one.run_id for one in pending(twin)} == {row.run_id, by_hand.id}


def test_a_retry_asks_again_but_a_resume_does_not(twin: TwinPlane) -> None:
    project = twin.add_project("exit 1")
    run = twin.see_end(twin.start_running(project))
    twin.rest()
    twin.ledgers.projects.change(project.id, approve_start=True)
    ask = RunRequest(project.id, Depth.QUICK, "auto", again=RetryOf(run.id))
    retry = twin.services.accept.accept(ask, twin.requester(), twin.clock()).run
    assert (retry.hold, retry.awaits_approval) == ("Waiting for approval", True)
    again = replace(ask, task="another", again=RetryOf(run.id, is_resume=True))
    resume = twin.services.accept.accept(again, twin.requester(), twin.clock()).run
    assert (resume.hold, resume.awaits_approval) == (None, False)


def test_switching_it_off_leaves_the_runs_that_wait_to_people(twin: TwinPlane) -> None:
    project = twin.add_project(approve_start=True)
    run = asked(twin, project)
    twin.services.projects.change(project.id, approve_start=False)
    other = asked(twin, project, task="another")
    twin.tick()
    assert (latest(twin, run).status, latest(twin, other).status) == ("queued", "running")
    assert [one.run_id for one in pending(twin)] == [run.id]
