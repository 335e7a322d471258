"""A29: refs and replace objects that an unsandboxed agent writes into a mirror are not trusted."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from app.errors import NotChecked
from app.services.lifecycle.deliver import PAUSES
from app.services.ports import Repository
from tests.builders.pushes import DIES, hooked, pushed
from tests.builders.repositories import Place, run_git, set_up_place, tip_of
from tests.drivers.planes import RealPlane, real_plane


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    """A control plane with the default settings."""
    with real_plane(tmp_path) as plane:
        yield plane


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return set_up_place(tmp_path, files={"a.txt": "one\n"})


def smuggled(mirror: Path, ref: str) -> str:
    """Put an unreviewed commit on top of a ref; return its id."""
    git = partial(run_git, mirror, "--git-dir=.")
    at = git("rev-parse", ref)
    evil = git("commit-tree", f"{at}^{{tree}}", "-p", at, "-m", "Nobody has read this")
    git("update-ref", ref, evil)
    return evil


def has(origin: Path, branch: str, sha: str) -> bool:
    return sha in run_git(origin, "rev-list", branch).split()


def test_a_branch_that_another_agent_moved_is_delivered_as_its_own_agent_left_it(
    plane: RealPlane,
) -> None:
    project, hook = hooked(plane, DIES)
    run = plane.see_end(plane.start_running_issue(project))
    assert run.status == "delivering"
    hook.unlink()
    taken = plane.tip(run)
    mirror = plane.settings.runs_root / "mirrors" / f"{project.id}.git"
    evil = smuggled(mirror, f"refs/heads/{run.work_branch}")
    plane.clock.advance(PAUSES.longest.total_seconds())
    plane.tick()
    done = plane.run(run.id)
    assert done.delivery is not None, done.because
    assert pushed(project, run) == done.delivery["head_sha"] == taken
    merged = plane.services.changes.merge(project.id, done.delivery["number"], plane.clock())
    assert merged.state == "merged"
    assert not has(Path(project.origin), "main", evil)


def test_a_merge_is_made_on_what_origin_shows_whatever_the_mirror_says(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    tip = place.deliver({"new.txt": "x\n"})
    assert place.mirrors.push(place.repo, "afk/1").accepted
    before, fetch, evil = tip_of(place.origin, "main"), place.mirrors.fetch, []

    def fetch_before_an_agent_writes(repo: Repository) -> None:
        fetch(repo)
        evil.append(smuggled(place.mirror, "refs/remotes/origin/main"))

    monkeypatch.setattr(place.mirrors, "fetch", fetch_before_an_agent_writes)
    merged = place.mirrors.merge(
        place.repo, base="main", branch="afk/1", message="Merge", base_sha=before, head_sha=tip
    )
    assert merged.sha == tip_of(place.origin, "main")
    assert run_git(place.origin, "rev-parse", "main^1", "main^2").split() == [before, tip]
    assert evil
    assert not any(has(place.origin, "main", one) for one in evil)


def test_a_change_on_a_base_that_origin_never_had_brings_nothing_along_unasked(
    plane: RealPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent waits for the fetch of another run's launch, then moves that run's base."""
    project = plane.add_project()
    mirror = plane.settings.runs_root / "mirrors" / f"{project.id}.git"
    fetch, evil = plane.adapters.mirrors.fetch, []

    def fetch_before_an_agent_writes(repo: Repository) -> None:
        fetch(repo)
        evil.append(smuggled(mirror, "refs/remotes/origin/main"))

    with monkeypatch.context() as racing:
        racing.setattr(plane.adapters.mirrors, "fetch", fetch_before_an_agent_writes)
        run = plane.start_running_issue(project)
    run = plane.see_end(run)
    assert (run.base_sha, run.status) == (evil[0], "succeeded")
    assert run.delivery is not None
    changes, number, origin = plane.services.changes, run.delivery["number"], Path(project.origin)
    before = tip_of(origin, "main")
    with pytest.raises(NotChecked, match="more would be merged than it shows"):
        changes.merge(project.id, number, plane.clock())
    assert (tip_of(origin, "main"), changes.find(project.id, number).state) == (before, "open")
    # a person may have rewritten the base on purpose
    assert changes.merge(project.id, number, plane.clock(), push_anyway=True).state == "merged"


def test_a_commit_that_an_agent_says_to_read_for_another_is_not_read(place: Place) -> None:
    tip = place.deliver({"new.txt": "x\n"})
    git = partial(run_git, place.mirror, "--git-dir=.")
    harmless = git("commit-tree", f"{place.base_sha}^{{tree}}", "-p", place.base_sha, "-m", "Same")
    git("update-ref", f"refs/replace/{tip}", harmless)
    assert place.mirrors.stat(place.repo, place.base_sha, tip).files_changed == 1
    assert "+++ b/new.txt" in place.mirrors.diff(place.repo, place.base_sha, tip).text
    assert place.mirrors.push(place.repo, "afk/1").accepted
    assert tip_of(place.origin, "afk/1") == tip
