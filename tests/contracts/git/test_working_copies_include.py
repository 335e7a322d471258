"""Files that `.runyardinclude` brings into a working copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app.services.ports import LaunchFailed
from tests.builders.repositories import Place, run_git, set_up_place, write_files


def included(tmp_path: Path, listed: str, private: dict[str, str]) -> tuple[Place, int]:
    files = {".runyardinclude": listed, "tracked.txt": "committed\n"}
    place = set_up_place(tmp_path, files=files, bare=False)
    write_files(place.origin, private)
    place.start()
    return place, place.copies.include(place.repo, "run_1")


def test_listed_files_come_from_a_local_checkout(tmp_path: Path) -> None:
    listed = "# secrets\n\n.env\nconfig/*.key\n**/local.json\nmissing.txt\nconfig\ntracked.txt\n"
    private = {
        ".env": "A=1\n",
        "config/a.key": "k",
        "config/b.txt": "not listed",
        "deep/er/local.json": "{}",
        "local.json": "{}",
        "tracked.txt": "changed, but the commit's stays\n",
    }
    place, count = included(tmp_path, listed, private)
    copy = place.copies.path("run_1")
    assert count == 4
    assert (copy / ".env").read_text() == "A=1\n"
    assert (copy / "deep/er/local.json").exists()
    assert not (copy / "config/b.txt").exists()
    assert (copy / "tracked.txt").read_text() == "committed\n"


def test_included_files_are_nobodys_work(tmp_path: Path) -> None:
    place, _ = included(tmp_path, ".env\nodd*\n", {".env": "A=1\n", "odd [name]!.txt": "x"})
    copy = place.copies.path("run_1")
    assert run_git(copy, "status", "--porcelain") == ""
    assert place.copies.inspect(place.repo, "run_1", tip=place.base_sha).is_clean


def test_an_origin_that_is_no_checkout_includes_nothing(tmp_path: Path) -> None:
    place = set_up_place(tmp_path, files={".runyardinclude": "HEAD\n"})
    place.start()
    assert place.copies.include(place.repo, "run_1") == 0


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LaunchFailed, match="more than 1000 files"):
        included(tmp_path, "many/*\n", {f"many/{number}": "x" for number in range(1001)})


def test_a_copy_left_in_the_middle_of_including_holds_no_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a killed server's copy is removed only if nothing in it can be a person's work
    place = set_up_place(tmp_path, files={".runyardinclude": "*.env\n"}, bare=False)
    write_files(place.origin, {"a.env": "A=1\n", "b.env": "B=1\n"})
    place.start()
    copied: list[object] = []

    def end_at_the_second(old: object, new: object) -> None:
        copied.append(new)
        if len(copied) == 2:
            raise OSError("as a kill would")

    monkeypatch.setattr(shutil, "copyfileobj", end_at_the_second)
    with pytest.raises(LaunchFailed):
        place.copies.include(place.repo, "run_1")
    assert (place.copies.path("run_1") / "a.env").exists()
    assert place.copies.inspect(place.repo, "run_1", tip=place.base_sha).is_clean
