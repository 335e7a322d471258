"""Salvage: kept commits delivered manually, and runs force-released."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlmodel import select

from app.domain.lifecycle import Signal
from app.domain.words import Cause, Delivers
from app.errors import (
    AlreadyEnded,
    ForgeUnavailable,
    KeyReused,
    KeyTaken,
    NotDeliverable,
    NotFound,
    PrLock,
    StillLive,
)
from app.failpoints import FailpointHit
from app.records.people.audit_ledger import Deed
from app.records.tables import Audit, Project, Run
from tests.builders.pushes import write_trusted_hook
from tests.builders.repositories import commit_file, run_git, tip_of
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import COMMIT, DrivenPlane, RealPlane
from tests.fakes.agents.runs import shell
from tests.fakes.planes import TwinPlane

DIES_WITH_A_COMMIT = f"{COMMIT}; exit 3"
LEAVES_A_FILE = f"{COMMIT}; echo a > a.txt; exit 3"


def deed(plane: DrivenPlane, what: str) -> Deed:
    return Deed(plane.person, what, f"{what} by a test", "corr")


def deliver(plane: DrivenPlane, run: Run, key: str | None = None) -> tuple[Run, bool]:
    return plane.services.salvage.deliver(run.id, deed(plane, "deliver"), key, plane.clock())


def release(plane: DrivenPlane, run: Run) -> Run:
    return plane.services.salvage.release(run.id, deed(plane, "release"), plane.clock())


def died(plane: DrivenPlane, project: Project) -> Run:
    run = plane.finish(project, issue=plane.add_issue(project).number)
    assert (run.status, run.parked) == ("died", True)
    return run


def end_unproved(plane: RealPlane, run: Run) -> Run:
    """Stop a run and leave its exit unproved."""
    with plane.ledgers.runs.stores.owner_of(run.id).transaction() as tx:
        plane.ledgers.runs.move(
            *(tx, run, Signal.STOP),
            now=plane.clock(),
            kind="reaped",
            sentence="stopped",
            cause=Cause.STOPPED,
            because="stopped",
            hold="Couldn't confirm that its processes have exited",
        )
    return plane.run(run.id)


def audited(plane: DrivenPlane) -> list[str]:
    return plane.ask(select(Audit.deed))


# --- deliver -----------------------------------------------------------------------------------


def test_kept_commits_are_delivered_and_the_run_stays_what_it_was(plane: RealPlane) -> None:
    project = plane.add_project(DIES_WITH_A_COMMIT)
    run = died(plane, project)
    delivered, replayed = deliver(plane, run)
    assert (delivered.status, delivered.cause, replayed) == ("died", "exit_code", False)
    assert delivered.delivery is not None
    assert (delivered.delivery["number"], delivered.delivery["state"]) == (2, "open")
    assert (delivered.delivery["commits"], delivered.parked) == (1, False)
    assert delivered.head_sha == tip_of(Path(project.origin), "refs/heads/afk/1")
    assert plane.kinds(run)[-1] == "salvage"
    assert plane.lines(run)[-1] == "change request #2 opened, deliver by a test"
    assert audited(plane) == ["deliver"]
    # neither a success nor another strike
    assert plane.project(project.id).strikes == 1
    assert "#2" in (plane.services.issues.all(project.id)[0].hold or "")
    assert plane.services.parked.all(plane.clock()) == []
    merged = plane.services.changes.merge(project.id, 2, plane.clock())
    assert merged.state == "merged"
    assert plane.services.issues.all(project.id)[0].state == "closed"
    assert plane.is_gone(run)


def test_files_that_are_not_committed_stay_kept_behind_the_delivery(plane: RealPlane) -> None:
    project = plane.add_project(LEAVES_A_FILE)
    run = died(plane, project)
    later = commit_file(plane.copy(run), "later.txt")
    delivered, _ = deliver(plane, run)
    # later commits in the copy are delivered, too
    assert delivered.head_sha == later
    assert delivered.parked
    assert plane.copy(run).exists()


def test_a_delivery_is_replayed_under_its_key_and_refused_under_another(twin: TwinPlane) -> None:
    project = twin.add_project(DIES_WITH_A_COMMIT)
    run = died(twin, project)
    first, _ = deliver(twin, run, "key")
    assert deliver(twin, run, "key") == (first, True)
    for key in (None, "other"):
        with pytest.raises(NotDeliverable, match="delivered already, as change request #2"):
            deliver(twin, run, key)
    assert len(twin.ledgers.tracker.changes(project.id)) == 1
    assert twin.kinds(run).count("salvage") == 1


def test_the_key_of_a_run_is_not_a_deliverys_too(twin: TwinPlane) -> None:
    project = twin.add_project(DIES_WITH_A_COMMIT)
    issue = twin.add_issue(project).number
    run = twin.accept(twin.order(project, issue=issue), "key")
    twin.rest()
    run = twin.see_end(run)
    with pytest.raises(KeyReused) as reused:
        deliver(twin, run, "key")
    assert reused.value.members["run_id"] == run.id
    other = replace(deed(twin, "deliver"), person_id="somebody else")
    with pytest.raises(KeyTaken):
        twin.services.salvage.deliver(run.id, other, "key", twin.clock())
    assert twin.run(run.id).delivery is None
    assert deliver(twin, run, "another key")[0].delivery is not None


def test_a_delivery_that_broke_off_after_the_push_is_completed(twin: TwinPlane) -> None:
    project = twin.add_project(DIES_WITH_A_COMMIT)
    run = died(twin, project)
    fail_at("salvage.before_commit")
    with pytest.raises(FailpointHit):
        deliver(twin, run)
    assert twin.run(run.id).delivery is None
    clear_failpoints()
    delivered, _ = deliver(twin, run)
    assert delivered.delivery is not None
    assert [change.number for change in twin.ledgers.tracker.changes(project.id)] == [2]


def test_what_cannot_be_delivered_says_why(twin: TwinPlane) -> None:
    project = twin.add_project("exit 3")
    with pytest.raises(NotFound):
        twin.services.salvage.deliver("run_c0", deed(twin, "deliver"), None, twin.clock())
    empty = died(twin, project)
    twin.clock.advance(5)
    reports = twin.finish(project, delivers=Delivers.REPORT, task="look")
    waiting = twin.accept(twin.order(project, delay_seconds=60))
    for run, why in (
        (empty, "no commits to deliver"),
        (reports, "reports; it opens no"),
        (waiting, "not ended"),
    ):
        with pytest.raises(NotDeliverable, match=why):
            deliver(twin, run)
    assert audited(twin) == []


@pytest.mark.parametrize("later_agent", [COMMIT, DIES_WITH_A_COMMIT])
def test_a_run_whose_work_was_discarded_never_delivers_a_later_runs(
    twin: TwinPlane, later_agent: str
) -> None:
    project = twin.add_project(DIES_WITH_A_COMMIT)
    run = died(twin, project)
    desk, branch = twin.services.parked, run.work_branch
    desk.discard(project.id, branch, branch, deed(twin, "discard"), twin.clock())
    twin.ledgers.projects.change(project.id, agent_command=shell(later_agent))
    twin.clock.advance(5)
    later = twin.finish(project, issue=1)
    assert later.work_branch == branch
    with pytest.raises(NotDeliverable, match="This run's work is no longer kept"):
        deliver(twin, run)
    assert (twin.run(run.id).delivery, twin.run(later.id)) == (None, later)
    assert len(twin.ledgers.tracker.changes(project.id)) == (later.status == "succeeded")


def test_a_run_that_is_not_proved_gone_is_not_delivered_yet(plane: RealPlane) -> None:
    project = plane.add_project(f"{COMMIT}; echo done; exec sleep 60")
    run = plane.start_running(project)
    plane.ears.wait_for_text(run.id, b"done")
    ended = end_unproved(plane, run)
    with pytest.raises(NotDeliverable, match="may still be running"):
        deliver(plane, ended)


def test_a_branch_in_use_is_not_delivered(twin: TwinPlane) -> None:
    project = twin.add_project(DIES_WITH_A_COMMIT)
    run = died(twin, project)
    again = twin.accept(twin.order(project, delay_seconds=60))
    twin.ledgers.runs.update_fields(again.id, project.id, work_branch=run.work_branch)
    with pytest.raises(PrLock):
        deliver(twin, run)


def test_an_origin_that_says_no_or_nothing_is_told_and_can_be_asked_again(
    plane: RealPlane,
) -> None:
    project = plane.add_project(DIES_WITH_A_COMMIT)
    run = died(plane, project)
    write_trusted_hook(plane, project, "pre-receive", "echo 'main is protected here' >&2; exit 1")
    with pytest.raises(NotDeliverable, match="main is protected here"):
        deliver(plane, run)
    hook = write_trusted_hook(plane, project, "pre-receive", "kill -9 $PPID")
    with pytest.raises(ForgeUnavailable, match="deliver it again later"):
        deliver(plane, run)
    kept = plane.run(run.id)
    assert (kept.delivery, kept.parked, kept.status) == (None, True, "died")
    hook.unlink()
    assert deliver(plane, run)[0].delivery is not None


def test_commits_of_others_at_origin_are_not_overwritten(plane: RealPlane) -> None:
    project = plane.add_project(DIES_WITH_A_COMMIT)
    run = died(plane, project)
    origin = Path(project.origin)
    run_git(origin, "checkout", "-q", "-b", "afk/1")
    theirs = commit_file(origin, "theirs.txt")
    with pytest.raises(NotDeliverable, match="Push refused"):
        deliver(plane, run)
    assert tip_of(origin, "refs/heads/afk/1") == theirs


def test_a_copy_that_cannot_be_trusted_delivers_what_was_taken_before(plane: RealPlane) -> None:
    project = plane.add_project(LEAVES_A_FILE)
    run = died(plane, project)
    (plane.copy(run) / ".git" / "objects" / "info" / "alternates").write_text("/etc\n")
    delivered, _ = deliver(plane, run)
    assert delivered.delivery is not None
    assert (delivered.delivery["commits"], delivered.parked) == (1, True)


# --- release -----------------------------------------------------------------------------------


def test_a_run_is_released_without_proof_and_its_work_is_kept(plane: RealPlane) -> None:
    project = plane.add_project(f"{COMMIT}; echo done; exec sleep 60")
    issue = plane.add_issue(project).number
    run = plane.start_running(project, issue=issue)
    plane.ears.wait_for_text(run.id, b"done")
    unproved = end_unproved(plane, run)
    assert plane.services.listing.count_open(project.id) == 1
    assert plane.services.parked.all(plane.clock()) == []
    released = release(plane, unproved)
    assert (released.status, released.cause, released.hold) == ("stopped", "stopped", None)
    assert released.released_at is not None
    assert released.parked
    assert plane.services.listing.count_open(project.id) == 0
    assert plane.copy(run).exists()
    # the event claims no proof
    assert plane.kinds(run)[-1] == "note"
    assert audited(plane) == ["release"]
    assert [view.branch for view in plane.services.parked.all(plane.clock())] == ["afk/1"]
    # its commits can be delivered, which takes them over
    assert deliver(plane, run)[0].delivery is not None


def test_only_an_ended_run_that_is_not_released_can_be_released(twin: TwinPlane) -> None:
    project = twin.add_project("exit 3")
    with pytest.raises(NotFound):
        twin.services.salvage.release("run_c0", deed(twin, "release"), twin.clock())
    released = died(twin, project)
    with pytest.raises(AlreadyEnded):
        release(twin, released)
    twin.clock.advance(5)
    waiting = twin.accept(replace(twin.order(project), delay_seconds=60))
    with pytest.raises(StillLive):
        release(twin, waiting)
    assert audited(twin) == []
