"""Working copies of ended runs are removed by age and size, never with work in them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.services.context import repository_of
from app.services.retention import working_copies
from tests.builders.repositories import run_git
from tests.builders.working_copies import (
    DAY,
    DIRTY,
    HOUR,
    clear,
    copies,
    deliver,
    kept_run,
    leaving,
    left_run,
    pass_by,
    tidy,
)
from tests.drivers.planes import RealPlane, real_plane


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    with real_plane(tmp_path) as plane:
        yield plane


def test_what_is_not_committed_stays_however_old(plane: RealPlane) -> None:
    run = kept_run(plane)
    assert pass_by(plane, 4000) == 0
    assert (plane.copy(run) / "unsaved.txt").read_text() == "mine\n"
    standing = copies(plane).usage()
    assert (standing.kept, standing.staying, standing.leaving) == (1, 1, ())
    assert standing.staying_bytes == standing.bytes > 0


def test_what_is_parked_stays_until_somebody_delivers_or_discards_it(plane: RealPlane) -> None:
    run = kept_run(plane)
    tidy(plane, run)
    # clean, and all its commits are at origin, but no person has discarded the work
    run_git(plane.copy(run), "push", "-q", "origin", f"HEAD:{run.work_branch}")
    plane.adapters.mirrors.fetch(repository_of(plane.project(run.project_id)))
    assert pass_by(plane, 4000) == 0
    assert plane.copy(run).is_dir()
    assert plane.run(run.id).parked
    deliver(plane, run)
    assert plane.run(run.id).parked, "its copy is still there"
    assert pass_by(plane, 1) == 1
    assert not plane.run(run.id).parked


def test_a_change_request_that_was_closed_without_merging_is_parked_again(plane: RealPlane) -> None:
    run = left_run(plane)
    delivery = plane.run(run.id).delivery
    assert delivery is not None
    plane.services.changes.close(run.project_id, delivery["number"], plane.clock())
    assert pass_by(plane, 4000) == 0
    assert plane.copy(run).is_dir()


def test_a_clean_copy_whose_commits_are_pushed_goes_after_its_days_and_the_row_says_so(
    plane: RealPlane,
) -> None:
    run = left_run(plane)
    tip = plane.tip(run)
    assert pass_by(plane, 29) == 0
    assert copies(plane).usage().next_at is not None
    plane.clock.advance(2 * DAY)
    assert clear(plane) == 0
    assert leaving(plane) == [(run.id, "age")]
    plane.clock.advance(HOUR)
    assert clear(plane) == 1
    assert not plane.copy(run).exists()
    assert plane.lines(run)[-1] == "The working copy was removed after 30 days."
    assert plane.tip(run) == tip, "its branch is let go by its merge alone"
    assert (leaving(plane), copies(plane).usage().kept) == ([], 0)
    assert clear(plane) == 0


def test_work_that_came_between_the_showing_and_the_round_keeps_the_copy(plane: RealPlane) -> None:
    run = left_run(plane)
    plane.clock.advance(31 * DAY)
    clear(plane)
    assert leaving(plane) == [(run.id, "age")]
    (plane.copy(run) / "late.txt").write_text("mine\n")
    plane.clock.advance(HOUR)
    assert clear(plane) == 0
    assert (plane.copy(run) / "late.txt").exists()
    clear(plane)
    assert leaving(plane) == []


def test_a_copy_that_cannot_be_read_stays(plane: RealPlane) -> None:
    run = left_run(plane)
    shutil.rmtree(plane.copy(run) / ".git")
    assert pass_by(plane, 31) == 0
    assert plane.copy(run).is_dir()


def test_a_copy_that_somebody_has_in_hand_stays_until_it_is_let_go(plane: RealPlane) -> None:
    project = plane.add_project(DIRTY)
    run = plane.finish(project, issue=plane.add_issue(project).number)
    tidy(plane, run)
    deliver(plane, run)
    plane.clock.advance(31 * DAY)
    clear(plane)
    plane.clock.advance(HOUR)
    with plane.locks.holding(f"branch {run.project_id} {run.work_branch}"):
        assert clear(plane) == 0
    with plane.locks.holding(run.id):
        assert clear(plane) == 0
    assert clear(plane) == 1


def test_beyond_the_size_the_oldest_go_and_work_is_not_counted_away(tmp_path: Path) -> None:
    with real_plane(tmp_path, keep_days=0, keep_gb=1e-9) as plane:
        work = kept_run(plane)
        runs = [kept_run(plane) for _ in range(2)]
        for run in runs:
            tidy(plane, run)
            deliver(plane, run)
        assert pass_by(plane, 0) == 2
        assert plane.copy(work).is_dir()
        assert plane.lines(runs[0])[-1].startswith("The working copy was removed to stay within ")


def test_with_zero_every_copy_is_kept(tmp_path: Path) -> None:
    with real_plane(tmp_path, keep_days=0, keep_gb=0) as plane:
        run = kept_run(plane)
        tidy(plane, run)
        deliver(plane, run)
        assert pass_by(plane, 4000) == 0
        assert copies(plane).usage().next_at is None


def test_a_round_measures_so_many_and_none_twice_on_a_day(
    plane: RealPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working_copies, "AT_ONCE", 1)
    runs = [kept_run(plane) for _ in range(2)]
    seen = [copies(plane).usage()]
    for _ in range(3):
        clear(plane)
        seen.append(copies(plane).usage())
    assert [(one.kept, one.unmeasured) for one in seen] == [(0, 0), (2, 1), (2, 0), (2, 0)]
    before = copies(plane).usage().bytes
    (plane.copy(runs[0]) / "more.bin").write_bytes(b"x" * 100_000)
    clear(plane)
    assert copies(plane).usage().bytes == before, "measured once, and again another day"
    plane.clock.advance(DAY)
    clear(plane)
    assert copies(plane).usage().bytes > before + 90_000


def test_a_server_that_does_not_sweep_shows_what_goes_and_removes_nothing(
    plane: RealPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = left_run(plane)
    plane.leases.is_alone = False
    plane.leases.release(plane.clock())
    assert pass_by(plane, 31) == 0
    assert leaving(plane) == [(run.id, "age")]
    assert plane.copy(run).is_dir()
