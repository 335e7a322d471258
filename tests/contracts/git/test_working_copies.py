"""The contract of WorkingCopies, with real repositories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.adapters.git.environment import UnsafeArgument
from app.services.ports import CannotRead, LaunchFailed
from tests.builders.repositories import (
    Place,
    commit_file,
    commit_files,
    run_git,
    set_up_place,
    tip_of,
    write_files,
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    files = {"a.txt": "one\n", "dir/b.txt": "b\n", ".gitignore": "*.log\n"}
    return set_up_place(tmp_path, files=files)


def uncommitted(place: Place, tip: str | None = None, run_id: str = "run_1") -> int:
    tip = tip or place.base_sha
    return place.copies.inspect(place.repo, run_id, tip=tip).uncommitted_files


# --- prepare -----------------------------------------------------------------------------------


def test_a_copy_is_a_clone_with_the_real_origin(place: Place) -> None:
    copy = place.start()
    assert copy == place.copies.path("run_1")
    assert place.copies.exists("run_1")
    assert run_git(copy, "status", "--porcelain") == ""
    assert run_git(copy, "symbolic-ref", "--short", "HEAD") == "afk/1"
    assert tip_of(copy) == tip_of(copy, "origin/main") == place.base_sha
    assert run_git(copy, "remote", "get-url", "origin") == str(place.origin)
    assert run_git(copy, "config", "user.email") == "yard@example.test"
    assert run_git(copy, "fsck", "--strict") == ""
    assert list((copy / ".git" / "hooks").iterdir()) == []


def test_an_agent_can_fetch_and_push_by_itself(place: Place) -> None:
    copy = place.start()
    tip = commit_file(copy, "new.txt")
    run_git(copy, "fetch", "-q")
    run_git(copy, "push", "-q")
    assert tip_of(place.origin, "afk/1") == tip
    assert run_git(copy, "rev-parse", "--abbrev-ref", "@{upstream}") == "origin/afk/1"


def test_a_copy_borrows_its_objects(place: Place) -> None:
    copy = place.start()
    assert [path for path in (copy / ".git/objects").rglob("*") if path.is_file()] == [
        copy / ".git/objects/info/alternates"
    ]


@pytest.mark.parametrize(
    ("branch", "sha", "failure"),
    [
        ("afk/1", "0" * 39 + "1", LaunchFailed),
        ("afk/1", "HEAD", UnsafeArgument),
        ("--evil", "0" * 40, UnsafeArgument),
    ],
)
def test_a_preparation_that_fails_leaves_nothing(
    place: Place, branch: str, sha: str, failure: type[Exception]
) -> None:
    with pytest.raises(failure):
        place.copies.prepare(place.repo, "run_1", branch=branch, sha=sha)
    left = list(place.origin.parent.glob("[cl]o*/**/*"))
    assert left == []
    assert not place.copies.exists("run_1")


def test_a_copy_is_never_handed_out_twice(place: Place) -> None:
    copy = place.start()
    write_files(copy, {"work.txt": "x"})
    with pytest.raises(LaunchFailed):
        place.copies.prepare(place.repo, "run_1", branch="afk/1", sha=place.base_sha)
    assert (copy / "work.txt").exists()


def test_what_an_interrupted_preparation_left_is_no_obstacle(place: Place) -> None:
    run_copy = place.copies.path("run_1")
    write_files(run_copy.parent / ".run_1.0123", {"half": "x"})
    write_files(run_copy.parent.parent / "looks" / "run_1.git", {"half": "x"})
    place.start()
    assert [path.name for path in run_copy.parent.iterdir()] == ["run_1"]


# --- take --------------------------------------------------------------------------------------


def test_commits_are_taken_into_the_mirror(place: Place) -> None:
    copy = place.start()
    commit_file(copy, "one.txt")
    tip = commit_file(copy, "dir/two.txt")
    assert place.copies.import_work(place.repo, "run_1", "afk/1") == tip
    assert place.copies.import_work(place.repo, "run_1", "afk/1") == tip
    assert place.mirrors.tip(place.repo, "afk/1") == tip
    place.copies.remove("run_1")
    assert run_git(place.mirror, "--git-dir=.", "fsck", "--strict") == ""


def test_a_copy_without_commits_answers_the_base(place: Place) -> None:
    place.start()
    assert place.copies.import_work(place.repo, "run_1", "afk/1") == place.base_sha


@pytest.mark.parametrize(
    "tidy",
    [
        ["pack-refs", "--all"],
        ["gc", "-q", "--prune=now"],
        ["repack", "-a", "-d", "-q"],
        ["commit-graph", "write", "--reachable", "--split"],
        ["multi-pack-index", "write"],
    ],
)
def test_a_copy_that_was_tidied_up_is_still_taken(place: Place, tidy: list[str]) -> None:
    tip = commit_file(place.start(), "new.txt")
    copy = place.copies.path("run_1")
    run_git(copy, "repack", "-d", "-q")
    run_git(copy, *tidy)
    assert place.copies.import_work(place.repo, "run_1", "afk/1") == tip


def test_a_rewritten_branch_is_taken_as_it_is(place: Place) -> None:
    copy = place.start()
    commit_file(copy, "new.txt")
    place.copies.import_work(place.repo, "run_1", "afk/1")
    run_git(copy, "commit", "-q", "--amend", "-m", "Better")
    assert place.copies.import_work(place.repo, "run_1", "afk/1") == tip_of(copy)


def test_a_branch_the_agent_deleted_cannot_be_read(place: Place) -> None:
    copy = place.start()
    run_git(copy, "checkout", "-q", "--detach")
    run_git(copy, "branch", "-q", "-D", "afk/1")
    with pytest.raises(CannotRead):
        place.copies.import_work(place.repo, "run_1", "afk/1")


def test_commits_of_a_branch_nobody_claims_are_not_taken(place: Place) -> None:
    commit_file(place.start(), "new.txt")
    place.mirrors.release(place.repo, "afk/1", expected_sha=None)
    with pytest.raises(CannotRead):
        place.copies.import_work(place.repo, "run_1", "afk/1")
    assert place.mirrors.claims(place.repo) == set()


# --- look --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({}, 0),
        ({"a.txt": "changed\n"}, 1),
        ({"a.txt": "ONE\n"}, 1),
        ({"new.txt": "x", "dir/more.txt": "x"}, 2),
        ({"noise.log": "ignored"}, 0),
        ({"ünï código.txt": "x"}, 1),
        ({"node/deep/down.txt": "x", "a.txt": "changed\n"}, 2),
    ],
)
def test_what_no_commit_holds_is_counted(place: Place, files: dict[str, str], count: int) -> None:
    write_files(place.start(), files)
    assert uncommitted(place) == count
    assert uncommitted(place) == count


def test_staged_deleted_and_renamed_files_are_counted(place: Place) -> None:
    copy = place.start()
    run_git(copy, "mv", "a.txt", "c.txt")
    (copy / "dir/b.txt").unlink()
    assert uncommitted(place) == 3


def test_a_commit_makes_a_copy_clean_again(place: Place) -> None:
    copy = place.start()
    tip = commit_files(copy, {"a.txt": "changed\n", "new.txt": "x"})
    place.copies.import_work(place.repo, "run_1", "afk/1")
    assert uncommitted(place, tip) == 0
    assert uncommitted(place, place.base_sha) == 2


def test_line_ends_that_the_repository_asks_for_are_no_change(tmp_path: Path) -> None:
    files = {"a.txt": "one\ntwo\n", ".gitattributes": "* text eol=crlf\n"}
    place = set_up_place(tmp_path, files=files)
    copy = place.start()
    assert (copy / "a.txt").read_bytes() == b"one\r\ntwo\r\n"
    os.utime(copy / "a.txt", (1, 1))
    assert uncommitted(place) == 0


def test_a_tip_the_mirror_does_not_have_cannot_be_read(place: Place) -> None:
    tip = commit_file(place.start(), "new.txt")
    with pytest.raises(CannotRead):
        uncommitted(place, tip)


@pytest.mark.parametrize("run_id", ["run_2", "..", "../run_1", "RUN", "", "."])
def test_a_copy_that_is_not_there_cannot_be_read(place: Place, run_id: str) -> None:
    place.start()
    with pytest.raises(CannotRead):
        uncommitted(place, run_id=run_id)


# --- diff --------------------------------------------------------------------------------------


def test_a_diff_shows_committed_changed_and_new_files(place: Place) -> None:
    copy = place.start()
    commit_file(copy, "committed.txt", "1\n")
    write_files(copy, {"a.txt": "changed\n", "näw file.txt": "x\n", "noise.log": "x"})
    (copy / "dir/b.txt").unlink()
    text = place.copies.diff(place.repo, "run_1", base_sha=place.base_sha).text
    for line in ("+++ b/committed.txt", "-one\n+changed", "+++ b/näw file.txt", "deleted file"):
        assert line in text
    assert "noise" not in text
    assert "\033" not in text


def test_a_long_diff_is_cut(place: Place) -> None:
    write_files(place.start(), {"big.txt": "0123456789\n" * 300_000})
    diff = place.copies.diff(place.repo, "run_1", base_sha=place.base_sha)
    assert diff.is_cut
    assert len(diff.text) <= 2 * 1024 * 1024


def test_looking_and_diffing_leave_the_copy_as_it_is(place: Place) -> None:
    copy = place.start()
    write_files(copy, {"new.txt": "x\n", "a.txt": "changed\n"})
    run_git(copy, "add", "a.txt")
    before = {path: path.lstat().st_mtime_ns for path in copy.rglob("*")}
    status = run_git(copy, "status", "--porcelain")
    uncommitted(place)
    place.copies.diff(place.repo, "run_1", base_sha=place.base_sha)
    place.copies.import_work(place.repo, "run_1", "afk/1")
    assert {path: path.lstat().st_mtime_ns for path in copy.rglob("*")} == before | {
        copy / ".git": (copy / ".git").lstat().st_mtime_ns,
        copy / ".git/index": (copy / ".git/index").lstat().st_mtime_ns,
    }
    assert run_git(copy, "status", "--porcelain") == status


# --- names, size, remove -----------------------------------------------------------------------


def test_the_names_at_the_top_of_a_copy_are_listed(place: Place) -> None:
    write_files(place.start(), {"go.mod": "", "deep/package.json": ""})
    assert {"go.mod", "deep", ".git"} < set(place.copies.names("run_1"))
    with pytest.raises(CannotRead):
        place.copies.names("run_2")


def test_a_copy_has_a_size(place: Place) -> None:
    copy = place.start()
    before = place.copies.size("run_1")
    write_files(copy, {"new.txt": "x" * 5000})
    assert place.copies.size("run_1") == before + 5000
    assert place.copies.size("run_2") == 0


def test_a_removed_copy_is_gone_with_all_we_knew_of_it(place: Place) -> None:
    place.start()
    place.copies.remove("run_1")
    place.copies.remove("run_1")
    assert not place.copies.exists("run_1")
    assert list(place.copies.path("run_1").parent.parent.glob("looks/*")) == []
    assert place.mirrors.claims(place.repo) == {"afk/1"}
