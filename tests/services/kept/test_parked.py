"""Discarding parked work, the only delete without safety checks."""

from __future__ import annotations

import threading
from pathlib import Path
from shutil import rmtree

import pytest
from sqlmodel import select

from app.errors import ConfirmMismatch, NotDiscarded, NotFound
from app.failpoints import FailpointHit
from app.records.tables import Audit, Project
from tests.builders.parked import (
    DIES,
    DIES_WITH_A_COMMIT,
    LEAVES_FILES,
    claimable,
    cut,
    deed,
    discard,
    listed,
)
from tests.builders.repositories import commit_file, run_git, tip_of
from tests.builders.retries import died
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import COMMIT, DrivenPlane, RealPlane
from tests.fakes.planes import TwinPlane


def deeds(plane: DrivenPlane, what: str) -> list[Audit]:
    return plane.ask(select(Audit).where(Audit.deed == what))


def at_origin(project: Project, branch: str) -> str:
    return tip_of(Path(project.origin), f"refs/heads/{branch}")


def test_discarding_makes_the_issue_claimable_again(plane: RealPlane) -> None:
    project = plane.add_project(LEAVES_FILES)
    run = died(plane, project)
    assert claimable(plane, project) == []
    assert discard(plane, run) == 1
    plane.rest()
    assert plane.is_gone(run)
    assert listed(plane) == []
    assert claimable(plane, project) == [1]
    assert plane.services.overview.of(project.id).parked_count == 0
    [written] = deeds(plane, "discard")
    assert (written.person, written.correlation_id) == (plane.person, "corr")
    assert plane.lines(run)[-1] == "discard by a test"
    assert plane.run(run.id).status == "died"
    assert plane.project(project.id).strikes == 1
    with pytest.raises(NotFound):
        discard(plane, run)


def test_another_name_discards_nothing(twin: TwinPlane) -> None:
    project = twin.add_project(LEAVES_FILES)
    run = died(twin, project)
    for confirm in ("", "afk/2", "AFK/1", "afk/1 ", "\uff41fk/1", "afk/\u0661"):
        with pytest.raises(ConfirmMismatch):
            discard(twin, run, confirm)
    assert twin.world.copies[run.id].uncommitted == 2
    assert twin.tip(run) is not None
    assert deeds(twin, "discard") == []


def test_a_loop_takes_a_discarded_issue_at_the_sweep_that_follows(twin: TwinPlane) -> None:
    project = twin.add_project(DIES)
    run = died(twin, project)
    twin.services.afk.set_auto(project.id, deed(twin, "auto"), twin.clock(), enabled=True)
    twin.tick()
    assert twin.rows() == [run.id]
    discard(twin, run)
    twin.wait(lambda: len(twin.rows()) == 2, "the issue was not taken again")
    twin.rest()
    twin.see_end(twin.run(twin.rows()[0]))


@pytest.mark.parametrize("point", ["discard.after_copy", "discard.after_claim"])
def test_a_discard_that_broke_off_is_completed_by_the_next(twin: TwinPlane, point: str) -> None:
    project = twin.add_project(LEAVES_FILES)
    run = died(twin, project)
    fail_at(point)
    with pytest.raises(FailpointHit):
        discard(twin, run)
    assert not twin.adapters.copies.exists(run.id)
    clear_failpoints()
    assert [view.branch for view in listed(twin)] == ["afk/1"]
    discard(twin, run)
    assert listed(twin) == []
    assert claimable(twin, project) == [1]
    assert len(deeds(twin, "discard")) == 1


def test_what_was_pushed_goes_so_that_the_issue_can_be_delivered_again(plane: RealPlane) -> None:
    project = plane.add_project()
    run = plane.finish(project, issue=plane.add_issue(project).number)
    plane.services.changes.close(project.id, 2, plane.clock())
    assert at_origin(project, "afk/1") == run.head_sha
    discard(plane, run)
    assert at_origin(project, "afk/1") == ""
    plane.clock.advance(5)
    again = plane.finish(project, issue=1)
    assert (again.status, again.delivery is not None) == ("succeeded", True)


def test_a_branch_that_others_moved_at_origin_stays_there(plane: RealPlane) -> None:
    project = plane.add_project()
    run = plane.finish(project, issue=plane.add_issue(project).number)
    plane.services.changes.close(project.id, 2, plane.clock())
    origin = Path(project.origin)
    run_git(origin, "checkout", "-q", "afk/1")
    theirs = commit_file(origin, "theirs.txt")
    discard(plane, run)
    assert at_origin(project, "afk/1") == theirs
    assert plane.tip(run) is None


def test_a_branch_at_origin_that_nobody_delivered_is_not_ours_to_delete(plane: RealPlane) -> None:
    project = plane.add_project(DIES_WITH_A_COMMIT)
    run = died(plane, project)
    mirror = plane.settings.runs_root / "mirrors" / f"{project.id}.git"
    # a person saved the work manually
    run_git(mirror, "push", "-q", project.origin, "afk/1:afk/1")
    discard(plane, run)
    assert at_origin(project, "afk/1") == run.head_sha


def test_an_open_change_keeps_its_branch_when_the_copy_is_discarded(plane: RealPlane) -> None:
    project = plane.add_project(f"{COMMIT}; echo a > a.txt")
    run = plane.finish(project, issue=plane.add_issue(project).number)
    [view] = listed(plane)
    assert view.holds == "1 commit, 1 file not committed"
    assert view.because == "holds more than change request #2"
    discard(plane, run)
    assert not plane.copy(run).exists()
    assert listed(plane) == []
    assert (plane.tip(run), at_origin(project, "afk/1")) == (run.head_sha, run.head_sha)
    assert claimable(plane, project) == []
    assert plane.services.changes.merge(project.id, 2, plane.clock()).state == "merged"


def test_a_branch_that_moved_on_under_an_open_change_is_kept(plane: RealPlane) -> None:
    project = plane.add_project(f"{COMMIT}; echo a > a.txt")
    run = plane.finish(project, issue=plane.add_issue(project).number)
    later = commit_file(plane.copy(run), "later.txt")
    plane.adapters.copies.import_work(plane.repository(project), run.id, run.work_branch)
    with pytest.raises(NotDiscarded, match="#2 is open"):
        discard(plane, run)
    assert plane.copy(run).exists()
    assert plane.tip(run) == later


def test_of_two_discards_at_once_one_does_it(twin: TwinPlane) -> None:
    project = twin.add_project(LEAVES_FILES)
    run, ended = died(twin, project), list[object]()
    barrier = threading.Barrier(2)

    def one() -> None:
        barrier.wait(10)
        try:
            ended.append(discard(twin, run))
        except NotFound as refusal:
            ended.append(refusal.code)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(map(str, ended)) == ["1", "not_found"]
    assert len(deeds(twin, "discard")) == 1


def test_a_mirror_that_cannot_be_read_keeps_everything(plane: RealPlane) -> None:
    project = plane.add_project(LEAVES_FILES)
    run = died(plane, project)
    mirror = cut(plane, project)
    with pytest.raises(NotDiscarded):
        discard(plane, run)
    assert plane.copy(run).exists()
    rmtree(mirror)
    assert discard(plane, run) == 1
    assert not plane.copy(run).exists()


def test_a_branch_under_a_name_of_its_own_is_discarded_under_it(plane: RealPlane) -> None:
    project = plane.add_project(LEAVES_FILES)
    run = died(plane, project)
    aside = f"parked/{run.work_branch}/{run.id}"
    plane.adapters.mirrors.rename(plane.repository(project), run.work_branch, aside)
    plane.ledgers.runs.update_fields(run.id, project.id, work_branch=aside)
    [view] = listed(plane)
    assert (view.branch, view.holds) == (aside, "1 commit, 2 files not committed")
    assert claimable(plane, project) == [1]
    discard(plane, plane.run(run.id))
    assert plane.is_gone(plane.run(run.id))
