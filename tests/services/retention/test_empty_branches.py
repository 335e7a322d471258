"""Branches parked without work are removed; those with work, or unreadable ones, stay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

from app.records.tables import Run
from app.services.retention import empty_branches
from tests.builders.parked import DIES, DIES_WITH_A_COMMIT, LEAVES_FILES, cut, listed
from tests.builders.retries import died
from tests.drivers.planes import DrivenPlane, RealPlane, real_plane
from tests.fakes.planes import TwinPlane


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    with real_plane(tmp_path) as plane:
        yield plane


def clear(plane: DrivenPlane) -> int:
    """Run one retention round and return the number of removed branches."""
    return plane.services.retention.branches.clear_once(plane.clock())


def old(plane: DrivenPlane, script: str = DIES) -> Run:
    """Return a plain run without commits whose branch is parked, as older versions left it."""
    run = plane.finish(plane.add_project(script))
    if not run.parked:
        repo = plane.repository(plane.project(run.project_id))
        assert run.base_sha is not None
        plane.adapters.mirrors.claim(repo, run.work_branch, run.base_sha)
        plane.ledgers.runs.update_fields(run.id, run.project_id, parked=True)
    assert plane.tip(run) is not None
    return plane.run(run.id)


def test_an_old_run_that_kept_nothing_leaves_the_list_and_says_why(plane: RealPlane) -> None:
    run = old(plane)
    assert [view.run_id for view in listed(plane)] == [run.id]
    assert clear(plane) == 1
    assert listed(plane) == []
    assert plane.is_gone(run)
    assert not plane.run(run.id).parked
    assert plane.lines(run)[-1] == "branch deleted: it had no commits or files"
    assert clear(plane) == 0


@pytest.mark.parametrize("script", [DIES_WITH_A_COMMIT, LEAVES_FILES, "echo a > a.txt; exit 3"])
def test_what_holds_a_commit_or_a_file_stays(plane: RealPlane, script: str) -> None:
    run = old(plane, script)
    tip = plane.tip(run)
    assert clear(plane) == 0
    assert plane.run(run.id).parked
    assert plane.tip(run) == tip


def test_a_copy_that_cannot_be_read_is_never_nothing(plane: RealPlane) -> None:
    run = old(plane, "echo a > a.txt; exit 3")
    (plane.copy(run) / "a.txt").unlink()
    (plane.copy(run) / ".git" / "objects" / "info" / "alternates").write_text("/etc\n")
    rmtree(plane.settings.runs_root / "looks" / f"{run.id}.git", ignore_errors=True)
    assert clear(plane) == 0
    assert plane.copy(run).is_dir()
    assert plane.run(run.id).parked


def test_a_mirror_that_cannot_be_read_or_is_away_keeps_its_rows(plane: RealPlane) -> None:
    run = old(plane)
    mirror = cut(plane, plane.project(run.project_id))
    assert clear(plane) == 0
    mirror.rename(mirror.with_suffix(".away"))
    assert clear(plane) == 0
    assert plane.run(run.id).parked


def test_copies_that_are_away_keep_their_rows(plane: RealPlane) -> None:
    run = old(plane)
    folder = plane.copy(run).parent
    folder.rename(folder.with_suffix(".away"))
    assert clear(plane) == 0
    assert plane.run(run.id).parked


def test_a_run_of_another_machine_is_not_judged_here(twin: TwinPlane) -> None:
    run = old(twin)
    twin.ledgers.runs.update_fields(run.id, run.project_id, instance="another")
    assert clear(twin) == 0
    assert twin.run(run.id).parked


def test_an_issue_stays_claimed_until_somebody_frees_it(twin: TwinPlane) -> None:
    run = died(twin, twin.add_project(DIES))
    tip = twin.tip(run)
    assert clear(twin) == 0
    assert twin.run(run.id).parked
    assert twin.tip(run) == tip


def test_a_branch_that_a_retry_waits_for_stays(twin: TwinPlane) -> None:
    run = old(twin)
    project = twin.project(run.project_id)
    again = twin.accept(twin.order(project, delay_seconds=60))
    twin.ledgers.runs.update_fields(again.id, project.id, work_branch=run.work_branch)
    assert clear(twin) == 0
    assert twin.tip(run) is not None


def test_a_round_looks_at_so_many_and_the_next_goes_on_behind_them(
    plane: RealPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(empty_branches, "AT_ONCE", 1)
    some = sorted((old(plane, script) for script in (DIES_WITH_A_COMMIT, DIES)), key=_id)
    assert sum(clear(plane) for _ in range(3)) == 1
    kept = [run.id for run in some if plane.run(run.id).parked]
    assert [view.run_id for view in listed(plane)] == kept
    assert len(kept) == 1


def _id(run: Run) -> str:
    return run.id
