"""Sizes, diffs, pushes and merges by Mirrors, with real repositories."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.services.ports import CannotRead, OriginProblem, Repository
from tests.builders.repositories import (
    Place,
    commit_file,
    commit_files,
    run_git,
    set_up_place,
    tip_of,
    write_files,
    write_hook,
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return set_up_place(tmp_path, files={"a.txt": "one\ntwo\nthree\n", "b.txt": "b\n"})


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A bound local port without a listener."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def refs_of(place: Place) -> str:
    return run_git(place.mirror, "--git-dir=.", "for-each-ref")


# --- sizes and diffs ---------------------------------------------------------------------------


def test_a_change_is_measured_from_the_fork(place: Place) -> None:
    tip = place.deliver({"a.txt": "one\n2\nthree\n", "new.txt": "x\ny\n"})
    desk = place.origin.with_name("origin.desk")
    base = commit_file(desk, "unrelated.txt")
    run_git(desk, "push", "-q", str(place.origin), "main")
    place.mirrors.fetch(place.repo)
    stat = place.mirrors.stat(place.repo, base, tip)
    assert (stat.commits, stat.files_changed, stat.additions, stat.deletions) == (1, 2, 3, 1)
    diff = place.mirrors.diff(place.repo, base, tip)
    assert "+++ b/new.txt" in diff.text
    assert "unrelated" not in diff.text
    assert not diff.is_cut


def test_the_files_of_a_change_are_listed_and_read_one_by_one(place: Place) -> None:
    files = {"a.txt": "one\n2\nthree\n", "new [1].txt": "x\ny\n", "raw.bin": "\0" * 9}
    tip = place.deliver(files | {"q\tü.txt": ""})
    found = {one.path: one for one in place.mirrors.changed_files(place.repo, place.base_sha, tip)}
    assert list(found) == ["a.txt", "new [1].txt", "q\tü.txt", "raw.bin"]
    counts = [(one.additions, one.deletions) for one in found.values()]
    assert counts == [(1, 1), (2, 0), (0, 0), (None, None)]
    assert all(len(one.blob) == 40 for one in found.values())
    one = place.mirrors.diff(place.repo, place.base_sha, tip, ["new [1].txt"])
    assert one.text.count("diff --git") == 1
    assert "+++ b/new [1].txt" in one.text


def test_a_renamed_and_a_deleted_file_are_listed_as_such(place: Place) -> None:
    first = place.deliver({"old.txt": "".join(f"{one}\n" for one in range(50)), "gone.txt": "x\n"})
    desk = place.origin.with_name("renaming")
    run_git(place.origin.parent, "clone", "-q", "--shared", str(place.mirror), str(desk))
    run_git(desk, "checkout", "-q", first)
    run_git(desk, "mv", "old.txt", "new.txt")
    run_git(desk, "rm", "-q", "gone.txt")
    run_git(desk, "commit", "-qm", "rename")
    run_git(desk, "push", "-q", "origin", "HEAD:refs/heads/renamed")
    tip = run_git(desk, "rev-parse", "HEAD")
    gone, new = place.mirrors.changed_files(place.repo, first, tip)
    assert (gone.path, gone.blob, gone.deletions) == ("gone.txt", "", 1)
    assert (new.path, new.previous, new.additions, new.deletions) == ("new.txt", "old.txt", 0, 0)
    both = place.mirrors.diff(place.repo, first, tip, ["old.txt", "new.txt"])
    assert "rename from old.txt" in both.text


def test_the_commits_of_a_change_are_told_without_those_that_a_merge_brought(place: Place) -> None:
    first = place.deliver({"new.txt": "x\n"})
    desk = place.origin.with_name("merging")
    run_git(place.origin.parent, "clone", "-q", "--shared", str(place.mirror), str(desk))
    run_git(desk, "checkout", "-q", "-b", "base", place.base_sha)
    commit_file(desk, "base.txt")
    run_git(desk, "checkout", "-q", first)
    run_git(desk, "merge", "-q", "--no-ff", "-m", "Merge \x1f base", "base")
    run_git(desk, "push", "-q", "origin", "HEAD:refs/heads/merged")
    tip = run_git(desk, "rev-parse", "HEAD")
    merge, own = place.mirrors.commits(place.repo, place.base_sha, tip)
    assert (merge.sha, merge.subject, own.sha) == (tip, "Merge \x1f base", first)
    assert own.author
    assert own.at.tzinfo is not None
    assert place.mirrors.commits(place.repo, tip, tip) == []


def test_a_diff_beyond_the_cap_is_cut_at_a_line(place: Place) -> None:
    tip = place.deliver({"big.txt": "0123456789\n" * 300_000})
    diff = place.mirrors.diff(place.repo, place.base_sha, tip)
    assert diff.is_cut
    assert len(diff.text) <= 2 * 1024 * 1024
    assert diff.text.endswith("+0123456789\n")


# --- pushes ------------------------------------------------------------------------------------


def test_a_push_delivers_and_may_be_repeated(place: Place) -> None:
    tip = place.deliver({"new.txt": "x\n"})
    assert place.mirrors.push(place.repo, "afk/1").accepted
    assert place.mirrors.push(place.repo, "afk/1").accepted
    assert tip_of(place.origin, "afk/1") == tip


def test_a_push_never_overwrites(place: Place) -> None:
    place.deliver({"new.txt": "x\n"})
    desk = place.origin.with_name("origin.desk")
    commit_file(desk, "theirs")
    run_git(desk, "push", "-q", str(place.origin), "main:afk/1")
    answer = place.mirrors.push(place.repo, "afk/1")
    assert not answer.accepted
    assert answer.because == "fetch first"
    assert tip_of(place.origin, "afk/1") == tip_of(desk)


def test_a_protected_branch_answers_with_its_own_words(place: Place) -> None:
    place.deliver({"new.txt": "x\n"})
    write_hook(place.origin, "pre-receive", "echo 'afk/1 is \033[31mprotected'; exit 1")
    answer = place.mirrors.push(place.trusting_hooks(), "afk/1")
    assert not answer.accepted
    assert answer.because == "pre-receive hook declined: afk/1 is [31mprotected"


def test_a_push_to_a_folder_that_is_away_concludes_nothing(place: Place) -> None:
    place.deliver({"new.txt": "x\n"})
    place.origin.rename(place.origin.with_name("moved"))
    with pytest.raises(OriginProblem, match="There is no folder") as problem:
        place.mirrors.push(place.repo, "afk/1")
    assert not problem.value.for_good


def test_a_push_to_a_folder_whose_config_is_broken_concludes_nothing(place: Place) -> None:
    place.deliver({"new.txt": "x\n"})
    with (place.origin / "config").open("a") as config:
        # git's error repeats this path, which reads like a repository that does not exist
        config.write('[include]\n\tpath = "~no-such-user/does not exist"\n')
    with pytest.raises(OriginProblem) as problem:
        place.mirrors.push(place.repo, "afk/1")
    assert not problem.value.for_good


def test_a_push_without_an_answer_concludes_nothing(place: Place, deaf_port: int) -> None:
    place.deliver({"new.txt": "x\n"})
    far = Repository("proj_1", f"https://127.0.0.1:{deaf_port}/x.git")
    with pytest.raises(OriginProblem) as problem:
        place.mirrors.push(far, "afk/1")
    assert not problem.value.for_good


def test_origins_branch_is_deleted_only_where_expected(place: Place) -> None:
    tip = place.deliver({"new.txt": "x\n"})
    place.mirrors.push(place.repo, "afk/1")
    place.mirrors.fetch(place.repo)
    delete = place.mirrors.delete_at_origin
    assert not delete(place.repo, "afk/1", expected_sha=place.base_sha)
    assert tip_of(place.origin, "afk/1") == tip
    assert delete(place.repo, "afk/1", expected_sha=tip)
    assert delete(place.repo, "afk/1", expected_sha=tip)
    assert place.mirrors.origin_tip(place.repo, "afk/1") is None


# --- merges ------------------------------------------------------------------------------------


def merge(place: Place, repo: Repository | None = None) -> tuple[str | None, str, tuple[str, ...]]:
    answer = place.mirrors.merge(
        repo or place.repo, base="main", branch="afk/1", message="Merge it\n"
    )
    return answer.sha, answer.because, answer.conflicts


def test_a_merge_has_both_parents_our_name_and_reaches_origin(place: Place) -> None:
    tip = place.deliver({"new.txt": "x\n"})
    desk = place.origin.with_name("origin.desk")
    theirs = commit_file(desk, "theirs")
    run_git(desk, "push", "-q", str(place.origin), "main")
    sha, _, _ = merge(place)
    assert sha == tip_of(place.origin, "main") == place.base_sha
    shown = run_git(place.origin, "log", "-1", "--format=%P|%an|%ae|%s", "main")
    assert shown == f"{theirs} {tip}|Run Yard|yard@example.test|Merge it"


def test_what_is_merged_already_answers_its_merge(place: Place) -> None:
    place.deliver({"new.txt": "x\n"})
    first = merge(place)
    desk = place.origin.with_name("origin.desk")
    run_git(desk, "pull", "-q", str(place.origin), "main")
    commit_file(desk, "later")
    run_git(desk, "push", "-q", str(place.origin), "main")
    assert merge(place) == first


def test_a_conflict_names_the_files_and_changes_nothing(place: Place) -> None:
    place.deliver({"a.txt": "mine\n", "b.txt": "mine\n", "free.txt": "x\n"})
    desk = place.origin.with_name("origin.desk")
    theirs = commit_files(desk, {"a.txt": "theirs\n", "b.txt": "theirs\n"})
    run_git(desk, "push", "-q", str(place.origin), "main")
    place.mirrors.fetch(place.repo)
    before = refs_of(place)
    sha, because, conflicts = merge(place)
    assert (sha, conflicts) == (None, ("a.txt", "b.txt"))
    assert because == "2 files were changed on both sides."
    assert tip_of(place.origin, "main") == theirs
    assert refs_of(place) == before


def test_conflicts_are_told_before_a_merge_and_leave_no_object_behind(place: Place) -> None:
    tip = place.deliver({"a.txt": "mine\n", "q\tü.txt": "mine\n", "free.txt": "x\n"})
    desk = place.origin.with_name("origin.desk")
    theirs = commit_files(desk, {"a.txt": "theirs\n", "q\tü.txt": "theirs\n"})
    run_git(desk, "push", "-q", str(place.origin), "main")
    place.mirrors.fetch(place.repo)
    before = run_git(place.mirror, "--git-dir=.", "count-objects", "-v")
    assert place.mirrors.conflicts(place.repo, theirs, tip) == ("a.txt", "q\tü.txt")
    assert place.mirrors.conflicts(place.repo, place.base_sha, tip) == ("a.txt", "q\tü.txt")
    old = run_git(desk, "rev-parse", "main^")
    assert place.mirrors.conflicts(place.repo, old, tip) == ()
    assert run_git(place.mirror, "--git-dir=.", "count-objects", "-v") == before
    with pytest.raises(CannotRead):
        place.mirrors.conflicts(place.repo, "0" * 39 + "1", tip)


def test_a_base_or_branch_that_is_gone_is_an_answer(place: Place) -> None:
    sha, because, _ = merge(place)
    assert (sha, because) == (None, "The branch afk/1 no longer exists.")


def test_a_protected_base_refuses_the_merge(place: Place) -> None:
    place.deliver({"new.txt": "x\n"})
    write_hook(place.origin, "pre-receive", "echo 'main is protected'; exit 1")
    before = refs_of(place)
    sha, because, _ = merge(place, place.trusting_hooks())
    assert sha is None
    assert because == "Origin refused the merge: pre-receive hook declined: main is protected"
    assert refs_of(place) == before


def test_a_clean_checkout_at_origin_follows_the_merge(tmp_path: Path) -> None:
    place = set_up_place(tmp_path, bare=False)
    place.deliver({"new.txt": "x\n"})
    sha, _, _ = merge(place)
    assert sha == tip_of(place.origin)
    assert (place.origin / "new.txt").read_text() == "x\n"
    assert run_git(place.origin, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    "theirs", [{"README.md": "half done\n"}, {"new.txt": "my own, not added yet\n"}]
)
def test_a_checkout_with_work_in_the_way_is_left_alone(
    tmp_path: Path, theirs: dict[str, str]
) -> None:
    place = set_up_place(tmp_path, bare=False)
    place.deliver({"new.txt": "x\n"})
    write_files(place.origin, theirs)
    tip, before = tip_of(place.origin), refs_of(place)
    sha, because, _ = merge(place)
    assert sha is None
    assert "main is checked out at origin with changes" in because
    assert tip_of(place.origin) == tip
    assert {name: (place.origin / name).read_text() for name in theirs} == theirs
    assert refs_of(place) == before


def test_a_checkout_of_another_branch_is_not_touched(tmp_path: Path) -> None:
    place = set_up_place(tmp_path, bare=False)
    run_git(place.origin, "checkout", "-q", "-b", "mine")
    write_files(place.origin, {"README.md": "half done\n"})
    place.deliver({"new.txt": "x\n"})
    sha, _, _ = merge(place)
    assert sha == tip_of(place.origin, "main")
    assert run_git(place.origin, "status", "--porcelain") == "M README.md"


# --- large files -------------------------------------------------------------------------------


def test_the_large_files_of_every_new_commit_are_found_largest_first(place: Place) -> None:
    place.deliver({"mid.bin": b"\0" * 3000, "small.bin": b"\0" * 2000, "ä\nb.bin": b"\1" * 2001})
    tip = place.deliver({"top.bin": b"\2" * 4000}, branch="afk/2")
    both = run_git(
        place.mirror, "--git-dir=.", "commit-tree", "-m", "both", "-p", tip, "-p", "afk/1",
        f"{tip}^{{tree}}",
    ).strip()  # fmt: skip
    found = place.mirrors.large_files(place.repo, place.base_sha, both, above=2000)
    assert [one.size for one in found] == [4000, 3000, 2001]
    assert [one.name for one in found][:2] == ["top.bin", "mid.bin"]
    assert "\n" not in found[2].name


def test_what_origin_has_already_is_no_large_file_of_a_run(place: Place) -> None:
    desk = place.origin.with_name("origin.desk")
    commit_files(desk, {"theirs.bin": b"\3" * 5000})
    run_git(desk, "push", "-q", str(place.origin), "main")
    place.mirrors.fetch(place.repo)
    theirs = place.mirrors.origin_tip(place.repo, "main")
    assert theirs is not None
    assert place.mirrors.large_files(place.repo, place.base_sha, theirs, above=2000) == []
