"""Commits that take a merge back, with real repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.services.ports import MergedChange, OriginProblem, RevertAnswer
from tests.builders.repositories import (
    Place,
    commit_files,
    run_git,
    set_up_place,
    tip_of,
    write_files,
)

FILES = {"a.txt": "one\ntwo\nthree\n", "b.txt": "b\n"}
DONE = {"a.txt": "one\n2\nthree\n", "new.txt": "x\n"}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return set_up_place(tmp_path, files=FILES)


def merge(place: Place, branch: str = "afk/1") -> MergedChange:
    """Deliver `DONE` on a branch, merge it, and return the merge."""
    base, head = place.base_sha, place.deliver(DONE, branch)
    answer = place.mirrors.merge(place.repo, base="main", branch=branch, message="Merge it")
    assert answer.sha
    return MergedChange("main", answer.sha, base, head)


def push_more(place: Place, files: dict[str, str]) -> str:
    """Commit to base at origin, outside of Runyard; return the commit."""
    desk = desk_of(place)
    commit_files(desk, files)
    run_git(desk, "push", "-q", "origin", "HEAD:main")
    return tip_of(desk)


def desk_of(place: Place) -> Path:
    desk = place.origin.with_name("desk.more")
    if not desk.exists():
        run_git(place.origin.parent, "clone", "-q", str(place.origin), str(desk))
    run_git(desk, "pull", "-q", "--ff-only")
    return desk


def revert(place: Place, merged: MergedChange) -> RevertAnswer:
    place.mirrors.fetch(place.repo)
    return place.mirrors.prepare_revert(place.repo, merged, 'Revert "It"\n\nChange #2.\n')


def files_of(place: Place, sha: str | None) -> dict[str, str]:
    assert sha
    names = run_git(place.mirror, "--git-dir=.", "ls-tree", "-r", "--name-only", sha).split()
    return {
        one: run_git(place.mirror, "--git-dir=.", "show", f"{sha}:{one}") + "\n" for one in names
    }


def state_of(place: Place) -> tuple[str, str]:
    """Return the refs of the mirror and of origin."""
    ask = ("for-each-ref", "--format=%(objectname) %(refname)")
    return run_git(place.mirror, "--git-dir=.", *ask), run_git(place.origin, *ask)


def objects_in(place: Place) -> int:
    return sum(path.is_file() for path in (place.mirror / "objects").rglob("*"))


def test_a_merge_is_taken_back_by_one_commit_on_top_of_base(place: Place) -> None:
    merged = merge(place)
    before = state_of(place)
    answer = revert(place, merged)
    assert (answer.base_sha, answer.conflicts, answer.is_empty) == (merged.merged_sha, (), False)
    assert files_of(place, answer.sha) == FILES
    shown = run_git(place.mirror, "--git-dir=.", "show", "-s", "--format=%P|%B", str(answer.sha))
    assert shown == f'{merged.merged_sha}|Revert "It"\n\nChange #2.'
    assert state_of(place) == before


def test_what_came_after_a_merge_stays(place: Place) -> None:
    merged = merge(place)
    later = push_more(place, {"b.txt": "other\n", "c.txt": "c\n"})
    answer = revert(place, merged)
    assert answer.base_sha == later
    assert files_of(place, answer.sha) == FILES | {"b.txt": "other\n", "c.txt": "c\n"}


def test_a_conflict_with_a_later_commit_is_named_and_leaves_nothing(place: Place) -> None:
    merged = merge(place)
    push_more(place, {"a.txt": "one\nzwei\nthree\n"})
    place.mirrors.fetch(place.repo)
    before, objects = state_of(place), objects_in(place)
    answer = revert(place, merged)
    assert (answer.sha, answer.conflicts) == (None, ("a.txt",))
    assert (state_of(place), objects_in(place)) == (before, objects)


def test_a_merge_that_was_taken_back_already_leaves_nothing_to_undo(place: Place) -> None:
    merged = merge(place)
    desk = desk_of(place)
    run_git(desk, "revert", "--no-edit", "-m", "1", merged.merged_sha)
    run_git(desk, "push", "-q", "origin", "HEAD:main")
    answer = revert(place, merged)
    assert (answer.sha, answer.is_empty) == (None, True)


@pytest.mark.parametrize("more", [False, True])
def test_a_change_that_was_fast_forwarded_elsewhere_is_taken_back(place: Place, more: bool) -> None:
    base, head = place.base_sha, place.deliver(DONE)
    run_git(place.mirror, "--git-dir=.", "push", "-q", str(place.origin), f"{head}:main")
    if more:
        push_more(place, {"b.txt": "other\n"})
    found = place.mirrors.merge(place.repo, base="main", branch="afk/1", message="Merge it")
    assert found.sha is not None
    assert found.sha == tip_of(place.origin, "main")
    answer = revert(place, MergedChange("main", found.sha, base, head))
    assert files_of(place, answer.sha) == FILES | ({"b.txt": "other\n"} if more else {})


def test_a_change_that_was_merged_with_another_is_taken_back_alone(place: Place) -> None:
    base, head = place.base_sha, place.deliver(DONE)
    run_git(
        place.mirror, "--git-dir=.", "push", "-q", str(place.origin), f"{head}:refs/heads/afk/1"
    )
    desk = desk_of(place)
    run_git(desk, "fetch", "-q")
    run_git(desk, "checkout", "-q", "-b", "other")
    commit_files(desk, {"c.txt": "c\n"})
    run_git(desk, "checkout", "-q", "main")
    run_git(desk, "merge", "-q", "--no-ff", "-m", "Both", "origin/afk/1", "other")
    run_git(desk, "push", "-q", "origin", "main")
    found = place.mirrors.merge(place.repo, base="main", branch="afk/1", message="Merge it")
    assert found.sha
    answer = revert(place, MergedChange("main", found.sha, base, head))
    assert files_of(place, answer.sha) == FILES | {"c.txt": "c\n"}


def test_a_merge_that_base_does_not_have_any_more_is_not_taken_back(place: Place) -> None:
    merged = merge(place)
    run_git(place.origin, "update-ref", "refs/heads/main", merged.base_sha)
    answer = revert(place, merged)
    assert answer.sha is None
    assert answer.because == "main at origin does not have this merge as it was recorded."


def test_a_base_that_is_gone_is_told(place: Place) -> None:
    merged = merge(place)
    run_git(place.origin, "update-ref", "refs/heads/other", merged.merged_sha)
    run_git(place.origin, "symbolic-ref", "HEAD", "refs/heads/other")
    run_git(place.origin, "update-ref", "-d", "refs/heads/main")
    assert revert(place, merged).because == "The branch main no longer exists."


def test_a_silent_origin_is_no_answer(place: Place) -> None:
    merged = merge(place)
    place.origin.rename(place.origin.with_name("away"))
    with pytest.raises(OriginProblem):
        place.mirrors.prepare_revert(place.repo, merged, "Revert")


def test_no_hook_and_no_setting_of_the_mirror_runs(place: Place) -> None:
    merged = merge(place)
    hook = place.mirror / "hooks" / "reference-transaction"
    write_files(place.mirror, {"hooks/reference-transaction": "#!/bin/sh\ntouch ran\n"})
    hook.chmod(0o755)
    assert revert(place, merged).sha
    assert not list(place.mirror.rglob("ran"))


def test_a_revert_can_be_taken_back_itself(place: Place) -> None:
    merged = merge(place)
    first = revert(place, merged)
    assert first.sha
    place.mirrors.claim(place.repo, "revert/2", first.sha)
    answer = place.mirrors.merge(place.repo, base="main", branch="revert/2", message="Merge it")
    assert answer.sha
    assert files_of(place, answer.sha) == FILES
    again = revert(place, MergedChange("main", answer.sha, first.base_sha, first.sha))
    assert files_of(place, again.sha) == FILES | DONE
