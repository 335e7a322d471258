"""Adoption of a working copy by another run, with all its contents and our records of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.services.ports import CannotRead
from tests.builders.repositories import Place, commit_file, set_up_place

OLD, NEW = "run_1", "run_2"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return set_up_place(tmp_path, files={"a.txt": "one\n", ".gitignore": "*.log\n"})


def test_a_copy_is_adopted_with_what_is_in_it(place: Place) -> None:
    tip = commit_file(place.start(OLD), "new.txt")
    for name in ("left.txt", "ignored.log"):
        (place.copies.path(OLD) / name).write_text("left")
    place.copies.adopt(OLD, NEW)
    assert not place.copies.exists(OLD)
    assert place.copies.import_work(place.repo, NEW, "afk/1") == tip
    assert place.copies.inspect(place.repo, NEW, tip=tip).uncommitted_files == 1
    assert (place.copies.path(NEW) / "ignored.log").exists()
    # repeating it, or adopting from a run without a copy, changes nothing
    for old in (OLD, NEW, "run_3"):
        place.copies.adopt(old, NEW)
    assert place.copies.exists(NEW)
    place.copies.remove(NEW)
    assert list(place.origin.parent.glob("[cl]o*/run_*")) == []


def test_an_adoption_that_broke_off_between_its_steps_is_completed(place: Place) -> None:
    copy = place.start(OLD)
    looks = copy.parent.parent / "looks"
    (looks / f"{OLD}.git").rename(looks / f"{NEW}.git")
    place.copies.adopt(OLD, NEW)
    assert place.copies.inspect(place.repo, NEW, tip=place.base_sha).is_clean


def test_a_copy_that_is_there_already_is_never_replaced(place: Place) -> None:
    (place.start(OLD) / "old.txt").write_text("old")
    place.mirrors.claim(place.repo, "afk/2", place.base_sha)
    place.copies.prepare(place.repo, NEW, branch="afk/2", sha=place.base_sha)
    place.copies.adopt(OLD, NEW)
    assert (place.copies.path(OLD) / "old.txt").exists()
    assert not (place.copies.path(NEW) / "old.txt").exists()


def test_what_is_no_copy_of_ours_is_not_adopted(place: Place, tmp_path: Path) -> None:
    copy = place.start(OLD)
    looks = copy.parent.parent / "looks"
    (looks / f"{OLD}.git").rename(tmp_path / "aside")
    with pytest.raises(CannotRead, match="not a working copy of ours"):
        place.copies.adopt(OLD, NEW)
    (tmp_path / "aside").rename(looks / f"{OLD}.git")
    copy.rename(tmp_path / "elsewhere")
    copy.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CannotRead):
        place.copies.adopt(OLD, NEW)
    assert copy.is_symlink()
    assert not place.copies.exists(NEW)


def test_a_copy_that_is_adopted_in_place_is_the_new_runs_under_the_old_name(place: Place) -> None:
    copy = place.start(OLD)
    tip = commit_file(copy, "new.txt")
    place.copies.adopt(OLD, NEW, in_place=True)
    place.copies.adopt(OLD, NEW, in_place=True)
    assert (place.copies.path(NEW), place.copies.exists(NEW)) == (copy, True)
    assert not place.copies.exists(OLD)
    assert place.copies.import_work(place.repo, NEW, "afk/1") == tip
    assert place.copies.inspect(place.repo, NEW, tip=tip).is_clean
    # removing the old run leaves the new run's copy; a third run adopts it in place
    place.copies.remove(OLD)
    place.copies.adopt(NEW, "run_3")
    assert (place.copies.path("run_3"), place.copies.exists(NEW)) == (copy, False)
    assert place.copies.clear_leftovers(lambda _: True) == 0
    place.copies.remove("run_3")
    assert list(place.origin.parent.glob("[cl]o*/run_*")) == []


def test_an_adoption_in_place_is_whole_or_not_at_all(place: Place) -> None:
    copy = place.start(OLD)
    # interrupted before its only step
    (copy.parent.parent / "looks" / f"{OLD}.git" / "place").write_text(OLD)
    assert place.copies.exists(OLD)
    place.copies.adopt(OLD, NEW, in_place=True)
    assert place.copies.inspect(place.repo, NEW, tip=place.base_sha).is_clean
