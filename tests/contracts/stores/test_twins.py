"""The in-memory fakes (tests/fakes/world.py) keep the contracts of the real adapters."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.services.ports import (
    BranchTaken,
    CannotRead,
    Mirrors,
    OriginProblem,
    Repository,
    WorkingCopies,
)
from tests.builders.repositories import commit_files, set_up_place
from tests.builders.retries import TWO_TRIES, died, retry
from tests.drivers.planes import COMMIT, RealPlane, real_plane
from tests.fakes.planes import TwinPlane, twin_plane
from tests.fakes.world import FakeCopies, FakeMirrors, World

BRANCH = "afk/1"


@dataclass(frozen=True)
class Git:
    """A mirror with its working copies, and functions that commit and leave files in a copy."""

    mirrors: Mirrors
    copies: WorkingCopies
    repo: Repository
    commit: Callable[[str], object]
    leave_file: Callable[[str], object]

    @property
    def base(self) -> str:
        tip = self.mirrors.origin_tip(self.repo, "main")
        assert tip
        return tip

    def start(self, run_id: str = "run_1") -> None:
        self.mirrors.claim(self.repo, BRANCH, self.base)
        self.copies.prepare(self.repo, run_id, branch=BRANCH, sha=self.base)


def real_git(folder: Path) -> Git:
    place = set_up_place(folder)
    copies = place.copies
    return Git(
        place.mirrors,
        copies,
        place.repo,
        lambda run_id: commit_files(copies.path(run_id), {"new.txt": uuid.uuid4().hex}),
        lambda run_id: (copies.path(run_id) / "left.txt").write_text("left"),
    )


def fake_git(_: Path) -> Git:
    world = World()
    repo = Repository("proj_1", world.add_origin("/origin"))
    mirrors = FakeMirrors(world)
    mirrors.clone(repo, progress=lambda *_: None)
    return Git(mirrors, FakeCopies(world), repo, world.commit, world.leave_file)


@pytest.fixture(params=[real_git, fake_git], ids=["real", "twin"])
def git(request: pytest.FixtureRequest, tmp_path: Path) -> Git:
    return request.param(tmp_path)


def test_an_origin_that_is_not_there_is_a_problem_for_good(git: Git) -> None:
    with pytest.raises(OriginProblem) as problem:
        git.mirrors.inspect_origin("/not/there", timeout_seconds=10)
    assert problem.value.for_good


@pytest.fixture(params=[real_plane, twin_plane], ids=["real", "twin"])
def plane(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RealPlane | TwinPlane]:
    with request.param(tmp_path) as plane:
        yield plane


@pytest.mark.parametrize(
    ("agent", "status", "code", "parked"),
    [
        (COMMIT, "succeeded", 0, False),
        (f"{COMMIT}; echo a > a.txt", "succeeded", 0, True),
        (f"{COMMIT}; exit $RUNYARD_ISSUE", "died", 1, True),
        (f'if [ -n "$RUNYARD_ISSUE" ]; then exit 4; fi; {COMMIT}', "died", 4, True),
        (f"if [ $RUNYARD_ISSUE = 7 ]; then exit 4; else {COMMIT}; fi", "succeeded", 0, False),
    ],
)
def test_an_agent_does_what_its_line_of_shell_says(
    plane: RealPlane | TwinPlane, agent: str, status: str, code: int, *, parked: bool
) -> None:
    run = plane.see_end(plane.start_running_issue(plane.add_project(agent)))
    assert (run.status, run.exit_code, run.parked) == (status, code, parked)


def test_an_agent_that_finds_the_file_it_left_commits_it(plane: RealPlane | TwinPlane) -> None:
    run = plane.see_end(retry(plane, died(plane, plane.add_project(TWO_TRIES))))
    assert (run.status, run.parked) == ("succeeded", False)
    assert (run.delivery or {})["commits"] == 2


def test_a_claim_stands_once_and_shuts_out_what_lies_below_it(git: Git) -> None:
    git.mirrors.claim(git.repo, BRANCH, git.base)
    for name in (BRANCH, f"{BRANCH}/deeper", "afk"):
        with pytest.raises(BranchTaken):
            git.mirrors.claim(git.repo, name, git.base)
    assert git.mirrors.claims(git.repo) == {BRANCH}
    assert git.mirrors.tip(git.repo, BRANCH) == git.base


def test_the_claims_of_a_mirror_that_is_not_there_cannot_be_read(git: Git) -> None:
    git.mirrors.remove(git.repo)
    with pytest.raises(CannotRead):
        git.mirrors.claims(git.repo)


def test_a_release_needs_the_expected_commit(git: Git) -> None:
    git.mirrors.claim(git.repo, BRANCH, git.base)
    assert not git.mirrors.release(git.repo, BRANCH, expected_sha="0" * 40)
    assert git.mirrors.release(git.repo, BRANCH, expected_sha=git.base)
    assert not git.mirrors.release(git.repo, BRANCH, expected_sha=None)
    assert git.mirrors.tip(git.repo, BRANCH) is None


def test_commits_are_taken_into_the_mirror_and_counted(git: Git) -> None:
    git.start()
    assert git.copies.import_work(git.repo, "run_1", BRANCH) == git.base
    git.commit("run_1")
    git.commit("run_1")
    tip = git.copies.import_work(git.repo, "run_1", BRANCH)
    assert git.mirrors.tip(git.repo, BRANCH) == tip
    assert git.mirrors.stat(git.repo, git.base, tip).commits == 2


def test_a_file_that_no_commit_holds_is_seen(git: Git) -> None:
    git.start()
    assert git.copies.inspect(git.repo, "run_1", tip=git.base).is_clean
    git.leave_file("run_1")
    assert not git.copies.inspect(git.repo, "run_1", tip=git.base).is_clean


def test_a_removed_copy_is_gone_and_cannot_be_read(git: Git) -> None:
    git.start()
    git.copies.remove("run_1")
    assert not git.copies.exists("run_1")
    with pytest.raises(CannotRead):
        git.copies.import_work(git.repo, "run_1", BRANCH)
    git.copies.remove("run_1")


def test_a_push_brings_the_branch_to_origin_and_a_deletion_needs_its_commit(git: Git) -> None:
    git.start()
    git.commit("run_1")
    tip = git.copies.import_work(git.repo, "run_1", BRANCH)
    assert git.mirrors.push(git.repo, BRANCH).accepted
    git.mirrors.fetch(git.repo)
    assert git.mirrors.origin_tip(git.repo, BRANCH) == tip
    assert not git.mirrors.delete_at_origin(git.repo, BRANCH, expected_sha=git.base)
    assert git.mirrors.delete_at_origin(git.repo, BRANCH, expected_sha=tip)


def test_a_claim_moves_only_from_where_it_is_thought_to_be(git: Git) -> None:
    git.mirrors.claim(git.repo, BRANCH, git.base)
    git.copies.prepare(git.repo, "run_1", branch=BRANCH, sha=git.base)
    git.commit("run_1")
    tip = git.copies.import_work(git.repo, "run_1", BRANCH)
    assert not git.mirrors.move(git.repo, BRANCH, git.base, expected_sha=git.base)
    assert git.mirrors.tip(git.repo, BRANCH) == tip
    assert git.mirrors.move(git.repo, BRANCH, git.base, expected_sha=tip)
    assert git.mirrors.tip(git.repo, BRANCH) == git.base
    assert not git.mirrors.move(git.repo, f"{BRANCH}-2", git.base, expected_sha=tip)


def test_nothing_is_taken_from_a_copy_until_its_kept_state_is_put_back(git: Git) -> None:
    git.start()
    git.commit("run_1")
    tip = git.copies.import_work(git.repo, "run_1", BRANCH)
    git.copies.keep_state(git.repo, "run_1", branch=BRANCH, tip=tip)
    assert not git.copies.changes_since(git.repo, "run_1").is_branch_moved
    git.commit("run_1")
    git.leave_file("run_1")
    assert git.copies.changes_since(git.repo, "run_1").is_branch_moved
    with pytest.raises(CannotRead):
        git.copies.import_work(git.repo, "run_1", BRANCH)
    git.copies.put_back(git.repo, "run_1", is_over=False)
    assert not git.copies.inspect(git.repo, "run_1", tip=tip).is_clean
    for _ in range(2):
        git.copies.put_back(git.repo, "run_1", is_over=True)
        assert git.copies.inspect(git.repo, "run_1", tip=tip).is_clean
        assert git.copies.import_work(git.repo, "run_1", BRANCH) == tip


def test_a_copy_whose_kept_state_is_dropped_stays_as_it_is(git: Git) -> None:
    git.start()
    git.commit("run_1")
    tip = git.copies.import_work(git.repo, "run_1", BRANCH)
    assert not git.copies.drop_state(git.repo, "run_1")
    git.copies.keep_state(git.repo, "run_1", branch=BRANCH, tip=tip)
    git.leave_file("run_1")
    assert [git.copies.drop_state(git.repo, "run_1") for _ in range(2)] == [True, False]
    git.copies.put_back(git.repo, "run_1", is_over=True)
    assert not git.copies.inspect(git.repo, "run_1", tip=tip).is_clean
    assert git.copies.import_work(git.repo, "run_1", BRANCH) == tip
