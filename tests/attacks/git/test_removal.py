"""A33 and A34: clean-up deletes only registered copies under the root."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.git.environment import UnsafeArgument
from app.adapters.git.layout import opened, remove_tree, unlock_tree
from app.services.ports import CannotRead, LaunchFailed
from tests.builders.repositories import Place, set_up_place, write_files

ODD_PARTS = ["..", ".", "/", "~", "", "\0", "run_1", "copies", "looks", "home", " ", "-rf", "*"]
odd_names = st.one_of(
    st.text(max_size=20),
    st.lists(st.sampled_from(ODD_PARTS), max_size=5).map("/".join),
    st.lists(st.sampled_from(ODD_PARTS), max_size=5).map("".join),
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return set_up_place(tmp_path)


def everything(place: Place) -> set[Path]:
    return set(place.origin.parent.rglob("*"))


few_or_many = pytest.mark.parametrize("most", [15, pytest.param(150, marks=pytest.mark.soak)])


@few_or_many
def test_no_odd_id_deletes_anything(place: Place, most: int) -> None:
    before = everything(place)

    @settings(max_examples=most, deadline=None)
    @given(odd_names)
    def try_it(run_id: str) -> None:
        with contextlib.suppress(UnsafeArgument, CannotRead):
            place.copies.remove(run_id)
        assert everything(place) == before

    try_it()


@few_or_many
def test_a_tree_is_only_deleted_directly_under_its_root(tmp_path: Path, most: int) -> None:
    write_files(tmp_path, {"root/home/x": "x", "copies/x": "x", "looks/x": "x"})
    before = set(tmp_path.rglob("*"))

    @settings(max_examples=most, deadline=None)
    @given(odd_names.filter(lambda name: name != "home"))
    def try_it(name: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            remove_tree(tmp_path / "root", name)
        assert set(tmp_path.rglob("*")) == before

    try_it()


def test_a_folder_that_is_not_registered_is_kept(place: Place) -> None:
    place.start()
    write_files(place.copies.path("run_2"), {"precious": "x"})
    with pytest.raises(CannotRead):
        place.copies.remove("run_2")
    assert (place.copies.path("run_2") / "precious").exists()


def test_links_inside_a_copy_are_unlinked_and_not_followed(place: Place) -> None:
    precious = place.origin.parent / "precious"
    write_files(precious, {"x": "x"})
    copy = place.start()
    (copy / "link").symlink_to(precious)
    (copy / "dir").mkdir()
    (copy / "dir/up").symlink_to("../..")
    place.copies.remove("run_1")
    assert (precious / "x").exists()
    assert not place.copies.exists("run_1")


def test_a_root_that_became_a_link_deletes_nothing(place: Place) -> None:
    copy = place.start()
    moved = place.origin.parent / "moved"
    copy.parent.rename(moved)
    copy.parent.symlink_to(moved)
    with pytest.raises(CannotRead):
        place.copies.remove("run_1")
    assert (moved / "run_1" / "README.md").exists()


def test_folders_without_rights_are_deleted_too(tmp_path: Path) -> None:
    write_files(tmp_path, {"copy/a/b/c": "x", "outside/x": "x"})
    outside = tmp_path / "outside"
    (tmp_path / "copy/a/link").symlink_to(outside)
    outside.chmod(0o500)
    (tmp_path / "copy/a/b").chmod(0)
    (tmp_path / "copy/a").chmod(0o500)
    with opened(tmp_path) as root:
        unlock_tree(root, "copy")
    assert os.stat(tmp_path / "copy/a/b").st_mode & 0o777 == 0o700
    assert outside.stat().st_mode & 0o777 == 0o500
    remove_tree(tmp_path, "copy")
    assert not (tmp_path / "copy").exists()


LISTS = ["../secret", "/etc/passwd", "a/../../secret", ".git/config", "sub/.GIT/config", "..", "."]


@pytest.mark.parametrize("line", LISTS)
def test_a_list_that_leaves_the_repository_is_refused(tmp_path: Path, line: str) -> None:
    place = set_up_place(tmp_path, files={".runyardinclude": f"{line}\n"}, bare=False)
    write_files(tmp_path, {"secret": "s3cret"})
    place.start()
    with pytest.raises(LaunchFailed, match="runyardinclude"):
        place.copies.include(place.repo, "run_1")


def test_links_on_either_side_bring_nothing(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write_files(outside, {"secret": "s3cret"})
    files = {".runyardinclude": "link\nlinked/secret\n*/secret\n**\ntarget/x\n"}
    place = set_up_place(tmp_path, files=files, bare=False)
    (place.origin / "link").symlink_to(outside / "secret")
    (place.origin / "linked").symlink_to(outside)
    write_files(place.origin, {"target/x": "x"})
    copy = place.start()
    (copy / "target").symlink_to(outside)
    assert place.copies.include(place.repo, "run_1") == 0
    assert sorted(path.name for path in copy.iterdir()) == [".git", ".runyardinclude", "target"]
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_a_search_without_end_is_ended(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 30)
    files = {".runyardinclude": "/".join(["**"] * 60 + ["x"]).lstrip("/") + "\n"}
    place = set_up_place(tmp_path, files=files, bare=False)
    write_files(place.origin, {f"{deep}/y": "y"})
    place.start()
    with pytest.raises(LaunchFailed, match="too long a search"):
        place.copies.include(place.repo, "run_1")
