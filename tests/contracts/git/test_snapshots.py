"""The kept state of a working copy: what checks change in it is seen, and put back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.services.ports import CannotRead, CopyChange
from tests.builders.repositories import (
    Place,
    commit_file,
    commit_files,
    run_git,
    set_up_place,
    tip_of,
    write_files,
)

FILES = {"a.txt": "one\n", "dir/b.txt": "b\n", ".gitignore": "*.log\n", "run.sh": "true\n"}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return set_up_place(tmp_path, files=FILES)


def look(copy: Path) -> dict[str, object]:
    """Return everything that git and a person see of a copy, without its objects."""
    found: dict[str, object] = {
        "status": run_git(copy, "status", "--porcelain", "-uall"),
        "refs": run_git(copy, "for-each-ref"),
        "head": (copy / ".git/HEAD").read_text(),
    }
    for path in sorted(copy.rglob("*")):
        name = str(path.relative_to(copy))
        if name.startswith(".git/objects") or name == ".git/index" or path.is_dir():
            continue
        found[name] = path.readlink() if path.is_symlink() else path.read_bytes()
        if not path.is_symlink():
            found[f"{name} mode"] = path.stat().st_mode
    return found


def agents_work(place: Place) -> Path:
    """Return a copy in which an agent committed, and left files in no commit."""
    copy = place.start()
    commit_file(copy, "new.txt")
    write_files(copy, {"a.txt": "two\n", "left/one.txt": "1", "left/two.txt": "2", "x.log": "x"})
    (copy / "left/link").symlink_to("one.txt")
    (copy / "dir/b.txt").unlink()
    run_git(copy, "stash", "-q", "--keep-index")
    run_git(copy, "stash", "apply", "-q")
    run_git(copy, "add", "left/one.txt")
    return copy


def keep(place: Place) -> str:
    tip = place.copies.import_work(place.repo, "run_1", "afk/1")
    place.copies.keep_state(place.repo, "run_1", branch="afk/1", tip=tip)
    return tip


def put_back(place: Place, *, is_over: bool = True) -> None:
    place.copies.put_back(place.repo, "run_1", is_over=is_over)


def commits(copy: Path) -> None:
    commit_files(copy, {"a.txt": "check\n", "left/one.txt": "check", "more.txt": "m"})
    run_git(copy, "tag", "by-check")
    run_git(copy, "checkout", "-qb", "elsewhere")


def cleans(copy: Path) -> None:
    run_git(copy, "reset", "-q", "--hard", "HEAD~1")
    run_git(copy, "clean", "-qfd")
    run_git(copy, "stash", "drop", "-q")
    run_git(copy, "pack-refs", "--all")


def swaps_kinds(copy: Path) -> None:
    shutil.rmtree(copy / "left")
    (copy / "left").symlink_to("/etc")
    (copy / "a.txt").unlink()
    write_files(copy, {"a.txt/in": "x", "dir/b.txt/in": "x"})
    (copy / "run.sh").chmod(0o755)
    (copy / "new.txt").unlink()
    os.mkfifo(copy / "new.txt")


def hides(copy: Path) -> None:
    write_files(copy, {".gitignore": "*\n", "hidden.txt": "h", ".git/hooks/pre-commit": "exit 1"})
    write_files(copy, {".git/config": "[core]\n\tbare = true\n", ".git/index.lock": ""})


def swells(copy: Path) -> None:
    for name in (".git/HEAD", "left/one.txt", "a.txt", "run.sh"):
        os.truncate(copy / name, 8 * 1024**4)


def makes_repositories(copy: Path) -> None:
    for folder in ("nested", "left"):
        run_git(copy, "init", "-q", folder)
    write_files(copy, {"nested/file": "x"})


@pytest.mark.parametrize(
    "meddle", [commits, cleans, swaps_kinds, hides, swells, makes_repositories]
)
def test_whatever_a_check_does_is_put_back(place: Place, meddle: Callable[[Path], None]) -> None:
    copy = agents_work(place)
    before, tip = look(copy), keep(place)
    meddle(copy)
    put_back(place)
    if meddle is makes_repositories:
        shutil.rmtree(copy / "left/.git")  # a new repository around what was left stays
    assert look(copy) == before
    assert run_git(copy, "fsck", "--strict", "--no-dangling") == ""
    assert place.copies.import_work(place.repo, "run_1", "afk/1") == tip == tip_of(copy)


def test_a_copy_without_its_git_folder_gets_it_back_with_the_commits(place: Place) -> None:
    copy = place.start()
    tip = commit_file(copy, "new.txt")
    before, _ = look(copy), keep(place)
    shutil.rmtree(copy / ".git")
    put_back(place)
    assert look(copy) == before
    assert run_git(copy, "fsck", "--strict") == ""
    assert place.copies.import_work(place.repo, "run_1", "afk/1") == tip


def test_between_checks_new_files_stay_and_the_rest_is_put_back(place: Place) -> None:
    copy = agents_work(place)
    tip = keep(place)
    commits(copy)
    write_files(copy, {"built/one": "1", ".gitignore": "built/\n"})
    put_back(place, is_over=False)
    assert (copy / "built/one").exists()
    assert (tip_of(copy), (copy / "a.txt").read_text()) == (tip, "two\n")
    with pytest.raises(CannotRead, match="not put back yet"):
        place.copies.import_work(place.repo, "run_1", "afk/1")
    put_back(place)
    assert not (copy / "built/one").exists()


def test_changes_are_told_by_file(place: Place) -> None:
    copy = agents_work(place)
    keep(place)
    compare = lambda: place.copies.changes_since(place.repo, "run_1")  # noqa: E731
    assert compare() == CopyChange()
    os.utime(copy / "left/one.txt")
    write_files(copy, {"x.log": "changed", "new-file": "n"})
    assert compare() == CopyChange()
    write_files(copy, {"left/one.txt": "3", "run.sh": "false\n", "a.txt": "one\n"})
    assert compare() == CopyChange(("a.txt", "left/one.txt", "run.sh"))
    commit_file(copy, "more.txt")
    assert compare().is_branch_moved
    put_back(place)
    assert compare() == CopyChange()


def test_many_files_in_no_commit_are_told_from_those_of_a_check(place: Place) -> None:
    copy = place.start()
    names = {f"many/{number}" for number in range(2500)}
    write_files(copy, dict.fromkeys(names, ""))
    keep(place)
    (copy / "many/1").unlink()
    write_files(copy, {"many/2": "check", "many/by-check": ""})
    assert place.copies.changes_since(place.repo, "run_1").files == ("many/1", "many/2")
    put_back(place)
    assert {f"many/{path.name}" for path in (copy / "many").iterdir()} == names


def test_a_submodule_that_a_check_filled_is_empty_again(place: Place) -> None:
    copy = place.start()
    (copy / "sub").mkdir()
    run_git(copy, "update-index", "--add", "--cacheinfo", f"160000,{place.base_sha},sub")
    run_git(copy, "commit", "-qm", "A submodule")
    before, _ = look(copy), keep(place)
    write_files(copy, {"sub/file": "x"})
    put_back(place, is_over=False)
    assert (copy / "sub/file").exists()
    put_back(place)
    assert (look(copy), list((copy / "sub").iterdir())) == (before, [])


def test_a_damaged_state_changes_nothing_and_nothing_is_taken(place: Place) -> None:
    copy = agents_work(place)
    keep(place)
    [kept] = (place.copies.path("run_1").parent.parent / "looks").glob("run_1.git/before")
    (kept / "git/HEAD").write_text("")
    commits(copy)
    seen = look(copy)
    with pytest.raises(CannotRead, match="damaged"):
        put_back(place)
    assert look(copy) == seen
    with pytest.raises(CannotRead):
        place.copies.import_work(place.repo, "run_1", "afk/1")


def test_what_is_too_much_to_copy_is_left_and_its_changes_are_told(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.adapters.git.snapshots._MOST_BYTES", 2000)
    copy = place.start()
    commit_file(copy, "new.txt")
    (copy / ".git/index").unlink()
    shutil.rmtree(copy / ".git/logs")
    write_files(copy, {"large.bin": "x" * 5000, "small.txt": "mine"})
    keep(place)
    write_files(copy, {"large.bin": "check", "small.txt": "check", "added.txt": "a"})
    assert place.copies.changes_since(place.repo, "run_1").files == ("large.bin", "small.txt")
    put_back(place)
    assert (copy / "small.txt").read_text() == "mine"
    assert (copy / "large.bin").read_text() == "check"
    assert not (copy / "added.txt").exists()
