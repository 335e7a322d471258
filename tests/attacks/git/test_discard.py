"""A34: a discard deletes only the registered copy and the claim of its own branch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import NotDiscarded, NotFound
from app.records.people.audit_ledger import Deed
from app.records.tables import Run
from tests.builders.repositories import write_files
from tests.drivers.planes import COMMIT, RealPlane, real_plane

LEAVES_A_FILE = f"{COMMIT}; echo a > a.txt; exit 3"
ODD = ["..", ".", "/", "~", "", "\0", "afk/1", "afk/", "copies", " ", "-rf", "*", "refs/heads/"]
odd_branches = st.one_of(
    st.text(max_size=20),
    st.lists(st.sampled_from(ODD), max_size=4).map("/".join),
    st.lists(st.sampled_from(ODD), max_size=4).map("".join),
)


def discard(plane: RealPlane, project_id: str, branch: str) -> int:
    deed = Deed(plane.person, "discard", "discarded by a test", "corr")
    return plane.services.parked.discard(project_id, branch, branch, deed, plane.clock())


def everything(plane: RealPlane) -> set[Path]:
    return {path for path in plane.settings.runs_root.rglob("*") if "records" not in path.parts}


def died(plane: RealPlane) -> Run:
    made = plane.add_project(LEAVES_A_FILE)
    run = plane.finish(made, issue=plane.add_issue(made).number)
    assert run.parked
    return run


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    with real_plane(tmp_path) as plane:
        yield plane


@pytest.mark.parametrize("most", [15, pytest.param(150, marks=pytest.mark.soak)])
def test_no_odd_name_deletes_anything(plane: RealPlane, most: int) -> None:
    run = died(plane)
    before = everything(plane)

    @settings(max_examples=most, deadline=None)
    @given(odd_branches.filter(lambda name: name != run.work_branch))
    def try_it(branch: str) -> None:
        with pytest.raises(NotFound):
            discard(plane, run.project_id, branch)
        with pytest.raises(NotFound):
            discard(plane, f"../{run.project_id}", run.work_branch)

    try_it()
    assert everything(plane) == before


def test_a_branch_of_the_same_name_in_another_project_stays(plane: RealPlane) -> None:
    mine, theirs = died(plane), died(plane)
    assert mine.work_branch == theirs.work_branch
    with pytest.raises(NotFound):
        discard(plane, "proj_none", mine.work_branch)
    discard(plane, mine.project_id, mine.work_branch)
    assert not plane.copy(mine).exists()
    assert (plane.copy(theirs) / "a.txt").exists()
    assert plane.tip(theirs) is not None


def test_what_took_the_place_of_a_copy_is_kept(plane: RealPlane, tmp_path: Path) -> None:
    run = died(plane)
    precious = tmp_path / "precious"
    write_files(precious, {"x": "x"})
    copy = plane.copy(run)
    copy.rename(tmp_path / "moved")
    copy.symlink_to(precious)
    with pytest.raises(NotDiscarded):
        discard(plane, run.project_id, run.work_branch)
    assert (precious / "x").exists()
    assert (tmp_path / "moved" / "a.txt").exists()
    # nothing was left half-done: the claim exists and the work is listed
    assert plane.tip(run) == run.head_sha
    [view] = plane.services.parked.all(plane.clock())
    assert "its copy could not be read" in view.holds


def test_links_in_a_copy_lead_nowhere(plane: RealPlane, tmp_path: Path) -> None:
    run = died(plane)
    precious = tmp_path / "precious"
    write_files(precious, {"x": "x"})
    (plane.copy(run) / "link").symlink_to(precious)
    (plane.copy(run) / "up").symlink_to("../..")
    discard(plane, run.project_id, run.work_branch)
    assert (precious / "x").exists()
    assert plane.is_gone(run)


def test_a_copy_that_is_not_registered_is_kept(plane: RealPlane) -> None:
    run = died(plane)
    registered = plane.settings.runs_root / "looks" / f"{run.id}.git"
    registered.rename(registered.with_name("elsewhere.git"))
    with pytest.raises(NotDiscarded):
        discard(plane, run.project_id, run.work_branch)
    assert (plane.copy(run) / "a.txt").exists()
    assert plane.tip(run) == run.head_sha
