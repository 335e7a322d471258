"""The list of parked work and its facts."""

from __future__ import annotations

from shutil import rmtree

import pytest

from app.errors import PrLock
from tests.builders.parked import DIES, DIES_WITH_A_COMMIT, LEAVES_FILES, cut, discard, listed
from tests.builders.retries import died
from tests.drivers.planes import COMMIT, RealPlane
from tests.fakes.planes import TwinPlane

ASIDE = (
    f"{COMMIT}; git checkout -qb aside; {COMMIT.replace('new', 'more')}; git checkout -q -; exit 3"
)


@pytest.mark.parametrize(
    ("agent", "holds", "can_deliver"),
    [
        (DIES, "no commits, no files", False),
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


def test_a_delivered_run_is_parked_once_its_change_is_closed(twin: TwinPlane) -> None:
    project = twin.add_project()
    run = twin.finish(project, issue=twin.add_issue(project).number)
    assert listed(twin) == []
    twin.services.changes.close(project.id, 2, twin.clock())
    [view] = listed(twin)
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


def test_a_branch_that_is_worked_on_again_is_not_listed(twin: TwinPlane) -> None:
    project = twin.add_project(DIES_WITH_A_COMMIT)
    run = died(twin, project)
    again = twin.accept(twin.order(project, delay_seconds=60))
    twin.ledgers.runs.update_fields(again.id, project.id, work_branch=run.work_branch)
    assert listed(twin) == []
    assert twin.services.overview.of(project.id).parked_count == 0
    with pytest.raises(PrLock) as refused:
        discard(twin, run)
    assert refused.value.members["holder"] == again.id
    assert twin.tip(run) is not None
