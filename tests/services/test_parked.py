"""Kept work: what is told of it, and the one unguarded delete."""

from __future__ import annotations

import threading
from pathlib import Path
from shutil import rmtree

import pytest
from sqlmodel import select

from app.errors import ConfirmMismatch, NotDiscarded, NotFound, PrLock
from app.failpoints import FailpointHit
from app.records.audit_ledger import Deed
from app.records.tables import Audit, Project, Run
from app.services.parked import ParkedView
from tests.planes import COMMIT, RealPlane
from tests.repositories import commit_file, run_git, tip_of

DIES = "exit 3"
DIES_WITH_A_COMMIT = f"{COMMIT}; exit 3"
LEAVES_FILES = f"{COMMIT}; echo a > a.txt; echo b > b.txt; exit 3"
ASIDE = (
    f"{COMMIT}; git checkout -qb aside; {COMMIT.replace('new', 'more')}; git checkout -q -; exit 3"
)


def deed(plane: RealPlane, what: str = "discard") -> Deed:
    return Deed(plane.person, what, f"{what} by a test", "corr")


def listed(plane: RealPlane) -> list[ParkedView]:
    return plane.services.parked.all(plane.clock())


def discard(plane: RealPlane, run: Run, confirm: str | None = None) -> int:
    desk, branch = plane.services.parked, run.work_branch
    sure = branch if confirm is None else confirm
    return desk.discard(run.project_id, branch, sure, deed(plane), plane.clock())


def died(plane: RealPlane, project: Project) -> Run:
    """A run of a new issue that died, released and kept."""
    run = plane.finish(project, issue=plane.add_issue(project).number)
    assert (run.status, run.parked) == ("died", True)
    return run


def claimable(plane: RealPlane, project: Project) -> list[int] | None:
    return plane.services.issues.claimable(project)


def deeds(plane: RealPlane, what: str) -> list[Audit]:
    with plane.database.reading() as session:
        return list(session.exec(select(Audit).where(Audit.what == what)).all())


def at_origin(project: Project, branch: str) -> str:
    return tip_of(Path(project.origin), f"refs/heads/{branch}")


def cut(plane: RealPlane, project: Project) -> Path:
    """Make a project's mirror unreadable; where it was."""
    mirror = plane.settings.runs_root / "mirrors" / f"{project.id}.git"
    (mirror / "HEAD").unlink()
    return mirror


# --- the list ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "holds", "can_deliver"),
    [
        (DIES, "no commits", False),
        (DIES_WITH_A_COMMIT, "1 commit", True),
        (LEAVES_FILES, "1 commit, 2 files not committed", True),
        ("echo a > a.txt; exit 3", "1 file not committed", False),
        (ASIDE, "1 commit, 1 commit beside its branch", True),
    ],
)
def test_what_is_kept_is_told(plane: RealPlane, agent: str, holds: str, can_deliver: bool) -> None:
    project = plane.add_project(agent)
    run = died(plane, project)
    plane.clock.advance(90)
    [view] = listed(plane)
    assert (view.holds, view.can_deliver) == (holds, can_deliver)
    assert (view.branch, view.run_id, view.issue) == ("afk/1", run.id, 1)
    assert (view.because, view.age_seconds) == (run.because, 90)
    has_copy = plane.copy(run).exists()
    assert view.bytes == plane.adapters.copies.size(run.id)
    assert (view.bytes or 0) > 0 if has_copy else view.bytes == 0
    assert plane.services.overview.of(project.id).parked_count == 1


def test_a_delivered_run_is_parked_once_its_change_is_closed(plane: RealPlane) -> None:
    project = plane.add_project()
    run = plane.finish(project, issue=plane.add_issue(project).number)
    assert listed(plane) == []
    plane.services.changes.close(project.id, 2, plane.clock())
    [view] = listed(plane)
    assert view.because == "change request #2 was closed without merging"
    assert (view.run_id, view.can_deliver) == (run.id, False)


def test_what_cannot_be_read_is_said_and_is_never_nothing(plane: RealPlane) -> None:
    project = plane.add_project(LEAVES_FILES)
    run = died(plane, project)
    (plane.copy(run) / ".git" / "objects" / "info" / "alternates").write_text("/etc\n")
    rmtree(plane.settings.runs_root / "looks" / f"{run.id}.git")
    [view] = listed(plane)
    assert view.holds == "1 commit, its copy could not be read"
    cut(plane, project)
    plane.clock.advance(60)
    listed(plane)
    plane.rest()
    [view] = listed(plane)
    assert view.holds == "its mirror could not be read, its copy could not be read"
    assert view.can_deliver is False
    assert plane.services.overview.of(project.id).parked_count == 1


def test_a_copy_that_somebody_changed_is_looked_at_again(plane: RealPlane) -> None:
    project = plane.add_project(LEAVES_FILES)
    run = died(plane, project)
    before = listed(plane)
    (plane.copy(run) / "a.txt").unlink()
    assert listed(plane) == before
    plane.clock.advance(60)
    listed(plane)
    plane.rest()
    [view] = listed(plane)
    assert view.holds == "1 commit, 1 file not committed"


def test_a_branch_that_is_worked_on_again_is_not_listed(plane: RealPlane) -> None:
    project = plane.add_project(DIES_WITH_A_COMMIT)
    run = died(plane, project)
    again = plane.accept(plane.order(project, delay_seconds=60))
    plane.ledgers.runs.note(again.id, project.id, work_branch=run.work_branch)
    assert listed(plane) == []
    assert plane.services.overview.of(project.id).parked_count == 0
    with pytest.raises(PrLock) as refused:
        discard(plane, run)
    assert refused.value.members["holder"] == again.id
    assert plane.tip(run) is not None


# --- discard -----------------------------------------------------------------------------------


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
    assert (written.person_id, written.correlation_id) == (plane.person, "corr")
    assert plane.lines(run)[-1] == "discard by a test"
    assert plane.run(run.id).status == "died"
    assert plane.project(project.id).strikes == 1
    with pytest.raises(NotFound):
        discard(plane, run)


def test_another_name_discards_nothing(plane: RealPlane) -> None:
    project = plane.add_project(LEAVES_FILES)
    run = died(plane, project)
    for confirm in ("", "afk/2", "AFK/1", "afk/1 ", "\uff41fk/1", "afk/\u0661"):
        with pytest.raises(ConfirmMismatch):
            discard(plane, run, confirm)
    assert (plane.copy(run) / "a.txt").exists()
    assert plane.tip(run) is not None
    assert deeds(plane, "discard") == []


def test_a_loop_takes_a_discarded_issue_at_the_sweep_that_follows(plane: RealPlane) -> None:
    project = plane.add_project(DIES)
    run = died(plane, project)
    plane.services.afk.set_auto(project.id, deed(plane, "auto"), plane.clock(), enabled=True)
    plane.tick()
    assert plane.rows() == [run.id]
    discard(plane, run)
    plane.wait(lambda: len(plane.rows()) == 2, "the issue was not taken again")
    plane.rest()
    plane.see_end(plane.run(plane.rows()[0]))


@pytest.mark.parametrize("point", ["discard.after_copy", "discard.after_claim"])
def test_a_discard_that_broke_off_is_completed_by_the_next(
    plane: RealPlane, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    project = plane.add_project(LEAVES_FILES)
    run = died(plane, project)
    monkeypatch.setenv("RUNYARD_TEST", "1")
    monkeypatch.setenv("RUNYARD_FAILPOINT", f"{point}:raise")
    with pytest.raises(FailpointHit):
        discard(plane, run)
    assert not plane.copy(run).exists()
    monkeypatch.delenv("RUNYARD_FAILPOINT")
    assert [view.branch for view in listed(plane)] == ["afk/1"]
    discard(plane, run)
    assert listed(plane) == []
    assert claimable(plane, project) == [1]
    assert len(deeds(plane, "discard")) == 1


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
    # somebody saved the work by hand
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
    plane.adapters.copies.take(plane.repository(project), run.id, run.work_branch)
    with pytest.raises(NotDiscarded, match="#2 is open"):
        discard(plane, run)
    assert plane.copy(run).exists()
    assert plane.tip(run) == later


def test_of_two_discards_at_once_one_does_it(plane: RealPlane) -> None:
    project = plane.add_project(LEAVES_FILES)
    run, ended = died(plane, project), list[object]()
    barrier = threading.Barrier(2)

    def one() -> None:
        barrier.wait(10)
        try:
            ended.append(discard(plane, run))
        except NotFound as refusal:
            ended.append(refusal.code)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(map(str, ended)) == ["1", "not_found"]
    assert len(deeds(plane, "discard")) == 1


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
    plane.ledgers.runs.note(run.id, project.id, work_branch=aside)
    [view] = listed(plane)
    assert (view.branch, view.holds) == (aside, "1 commit, 2 files not committed")
    assert claimable(plane, project) == [1]
    discard(plane, plane.run(run.id))
    assert plane.is_gone(plane.run(run.id))
