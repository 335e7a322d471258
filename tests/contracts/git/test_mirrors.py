"""The contract of Mirrors, with real repositories."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from app.adapters.git.command import Git
from app.adapters.git.environment import Identity
from app.adapters.git.mirrors import GitMirrors
from app.services.ports import (
    BranchTaken,
    CannotRead,
    FileText,
    Mirrors,
    OriginProblem,
    Repository,
)
from tests.builders.repositories import (
    Place,
    commit_file,
    make_origin,
    run_git,
    set_up_place,
    tip_of,
)

IMPLEMENTATIONS: dict[str, Callable[[Path], Mirrors]] = {
    "git": lambda root: GitMirrors(root, git=Git(Identity())),
}


@pytest.fixture(params=list(IMPLEMENTATIONS.values()), ids=list(IMPLEMENTATIONS))
def mirrors(request: pytest.FixtureRequest, tmp_path: Path) -> Mirrors:
    return request.param(tmp_path / "mirrors")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return set_up_place(tmp_path, files={"a.txt": "one\ntwo\nthree\n", "b.txt": "b\n"})


def clone(mirrors: Mirrors, origin: Path | str) -> Repository:
    repo = Repository("proj_1", str(origin))
    mirrors.clone(repo, progress=lambda percent, phase: None)
    return repo


# --- the mirror --------------------------------------------------------------------------------


def test_a_mirror_holds_origins_branches_and_no_claim(mirrors: Mirrors, tmp_path: Path) -> None:
    origin = make_origin(tmp_path / "origin")
    heard: list[tuple[int, str]] = []
    repo = Repository("proj_1", str(origin))
    assert not mirrors.exists(repo)
    mirrors.clone(repo, progress=lambda percent, phase: heard.append((percent, phase)))
    assert mirrors.exists(repo)
    assert heard[-1][0] == 100
    assert heard[0][1] == "counting objects"
    [branch] = mirrors.branches(repo)
    assert (branch.name, branch.sha) == ("main", tip_of(origin))
    assert branch.updated_at
    assert branch.updated_at.utcoffset() is not None
    assert mirrors.claims(repo) == set()


def test_an_origin_without_commits_is_refused_for_good(mirrors: Mirrors, tmp_path: Path) -> None:
    origin = make_origin(tmp_path / "origin", files={}, bare=True)
    with pytest.raises(OriginProblem, match="no commits yet") as problem:
        clone(mirrors, origin)
    assert problem.value.for_good


def test_a_clone_that_fails_half_way_leaves_nothing(mirrors: Mirrors, tmp_path: Path) -> None:
    origin = make_origin(tmp_path / "origin")
    blob = run_git(origin, "rev-parse", "HEAD:README.md")
    (origin / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    repo = Repository("proj_1", str(origin))
    with pytest.raises(OriginProblem):
        clone(mirrors, origin)
    assert not mirrors.exists(repo)
    assert [path.name for path in (tmp_path / "mirrors").iterdir()] == [".proj_1.lock"]


def test_a_listener_that_fails_ends_the_clone(mirrors: Mirrors, tmp_path: Path) -> None:
    def fail(percent: int, phase: str) -> None:
        raise KeyError(phase)

    repo = Repository("proj_1", str(make_origin(tmp_path / "origin")))
    with pytest.raises(KeyError):
        mirrors.clone(repo, progress=fail)
    assert not mirrors.exists(repo)


def test_cloning_twice_keeps_the_first(mirrors: Mirrors, tmp_path: Path) -> None:
    repo = clone(mirrors, make_origin(tmp_path / "origin"))
    tip = mirrors.origin_tip(repo, "main")
    assert tip
    mirrors.claim(repo, "afk/1", tip)
    clone(mirrors, repo.origin)
    assert mirrors.claims(repo) == {"afk/1"}


def test_a_removed_mirror_is_gone(mirrors: Mirrors, tmp_path: Path) -> None:
    repo = clone(mirrors, make_origin(tmp_path / "origin"))
    mirrors.remove(repo)
    mirrors.remove(repo)
    assert not mirrors.exists(repo)


def test_a_branch_of_origin_is_asked_for_files_by_their_paths(
    mirrors: Mirrors, tmp_path: Path
) -> None:
    origin = make_origin(tmp_path / "origin", files={".env": "x", "sub/settings.json": "x"})
    repo = clone(mirrors, origin)
    assert mirrors.has_any(repo, "main", ["none", ".env"])
    assert mirrors.has_any(repo, "main", ["sub/settings.json"])
    assert not mirrors.has_any(repo, "main", ["settings.json", "sub/none"])
    assert not mirrors.has_any(repo, "other", [".env"])
    mirrors.remove(repo)
    with pytest.raises(CannotRead):
        mirrors.has_any(repo, "main", [".env"])


def test_a_fetch_follows_origin_and_keeps_claims(place: Place) -> None:
    desk = place.origin.with_name("origin.desk")
    place.mirrors.claim(place.repo, "old", place.base_sha)
    run_git(desk, "push", "-q", str(place.origin), "main:afk")
    place.mirrors.fetch(place.repo)
    assert place.mirrors.origin_tip(place.repo, "afk")
    new = commit_file(desk, "c.txt")
    # a branch takes the name of a folder of branches, so stale refs must be pruned first
    run_git(desk, "push", "-q", str(place.origin), ":afk")
    run_git(desk, "push", "-q", str(place.origin), "main", "main:afk/9")
    place.mirrors.fetch(place.repo)
    assert place.mirrors.origin_tip(place.repo, "main") == new
    assert {branch.name for branch in place.mirrors.branches(place.repo)} == {"main", "afk/9"}
    assert place.mirrors.claims(place.repo) == {"old"}


def test_fetches_at_once_do_not_trip_over_each_other(place: Place) -> None:
    desk = place.origin.with_name("origin.desk")
    for number in range(8):
        run_git(desk, "branch", f"b{number}")
    run_git(desk, "push", "-q", str(place.origin), "--all")
    problems: list[OriginProblem] = []

    def fetch() -> None:
        try:
            place.mirrors.fetch(place.repo)
        except OriginProblem as problem:
            problems.append(problem)

    threads = [threading.Thread(target=fetch) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(place.mirrors.branches(place.repo)) == 9


def test_a_mirror_of_a_sha256_repository_works(tmp_path: Path) -> None:
    place = set_up_place(tmp_path, object_format="sha256", bare=False)
    tip = place.deliver({"new.txt": "x\n"})
    assert len(tip) == 64
    assert place.mirrors.push(place.repo, "afk/1").accepted


# --- claims ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["afk/1", "afk", "afk/1/more"])
def test_a_claimed_name_is_taken_and_so_is_what_it_shuts_out(place: Place, name: str) -> None:
    place.mirrors.claim(place.repo, "afk/1", place.base_sha)
    with pytest.raises(BranchTaken):
        place.mirrors.claim(place.repo, name, place.base_sha)
    assert place.mirrors.claims(place.repo) == {"afk/1"}


def test_what_stands_below_a_name_is_not_taken_for_the_name(place: Place) -> None:
    run_git(place.origin, "branch", "feature/x")
    place.mirrors.fetch(place.repo)
    assert place.mirrors.origin_tip(place.repo, "feature") is None
    assert place.mirrors.origin_tip(place.repo, "feature/x") == place.base_sha
    place.mirrors.claim(place.repo, "afk/1/work", place.base_sha)
    assert place.mirrors.tip(place.repo, "afk/1") is None
    assert not place.mirrors.release(place.repo, "afk/1", expected_sha=None)
    assert place.mirrors.tip(place.repo, "afk/1/work") == place.base_sha


def test_of_many_claims_at_once_one_wins(place: Place) -> None:
    sha, taken = place.base_sha, []

    def claim() -> None:
        try:
            place.mirrors.claim(place.repo, "afk/1", sha)
        except BranchTaken as problem:
            taken.append(problem)

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 7
    assert place.mirrors.tip(place.repo, "afk/1") == sha


def test_a_release_needs_the_expected_commit(place: Place) -> None:
    place.mirrors.claim(place.repo, "afk/1", place.base_sha)
    assert not place.mirrors.release(place.repo, "afk/1", expected_sha="0" * 39 + "1")
    assert place.mirrors.release(place.repo, "afk/1", expected_sha=place.base_sha)
    assert not place.mirrors.release(place.repo, "afk/1", expected_sha=None)
    assert place.mirrors.tip(place.repo, "afk/1") is None


def test_a_rename_moves_the_claim_in_one_step(place: Place) -> None:
    place.mirrors.claim(place.repo, "afk/1", place.base_sha)
    place.mirrors.claim(place.repo, "other", place.base_sha)
    with pytest.raises(BranchTaken):
        place.mirrors.rename(place.repo, "afk/1", "other")
    place.mirrors.rename(place.repo, "afk/1", "parked/afk/1/run_1")
    assert place.mirrors.claims(place.repo) == {"parked/afk/1/run_1", "other"}


# --- files of a commit -------------------------------------------------------------------------


def guide_of(mirrors: Mirrors, repo: Repository, most: int = 100) -> FileText | None:
    tip = mirrors.origin_tip(repo, "main")
    assert tip
    return mirrors.read_file(repo, tip, "RUNYARD.md", most=most)


@pytest.mark.parametrize(
    ("content", "text", "is_cut"),
    [
        (b"Use tabs.\n", "Use tabs.\n", False),
        (b"\xef\xbb\xbfHi", "Hi", False),
        (b"a\xffb", "a\ufffdb", False),
        (b"x" * 100, "x" * 100, False),
        (b"x" * 101, "x" * 100, True),
        ("é".encode() * 80, "é" * 50, True),
        (b"y" + "é".encode() * 80, "y" + "é" * 49, True),
        (b"", "", False),
    ],
)
def test_a_file_at_the_top_of_a_commit_is_read_up_to_its_cap(
    mirrors: Mirrors, tmp_path: Path, content: bytes, text: str, is_cut: bool
) -> None:
    origin = make_origin(tmp_path / "origin")
    commit_file(origin, "RUNYARD.md", content)
    assert guide_of(mirrors, clone(mirrors, origin)) == FileText(text, is_cut)


def test_a_link_a_folder_and_a_missing_file_are_no_file(mirrors: Mirrors, tmp_path: Path) -> None:
    origin = make_origin(tmp_path / "origin")
    repo = clone(mirrors, origin)
    assert guide_of(mirrors, repo) is None
    (origin / "RUNYARD.md").symlink_to("/etc/passwd")
    commit_file(origin, "a.txt")
    mirrors.fetch(repo)
    assert guide_of(mirrors, repo) is None
    (origin / "RUNYARD.md").unlink()
    (origin / "RUNYARD.md").mkdir()
    commit_file(origin, "RUNYARD.md/a.txt")
    mirrors.fetch(repo)
    assert guide_of(mirrors, repo) is None


@pytest.mark.parametrize("sha", ["main", "--all", "0" * 40])
def test_a_file_is_read_only_from_a_commit_that_there_is(
    mirrors: Mirrors, tmp_path: Path, sha: str
) -> None:
    repo = clone(mirrors, make_origin(tmp_path / "origin"))
    with pytest.raises(CannotRead):
        mirrors.read_file(repo, sha, "RUNYARD.md", most=100)
