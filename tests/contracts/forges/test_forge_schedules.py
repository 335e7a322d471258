"""Merges that a forge makes by itself: asked for, followed and taken back, at every kind of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from app.adapters.forge.client import ForgeClient
from app.adapters.forge.gitea import GiteaForge
from app.adapters.forge.github.client import GithubClient, TokenSignIn
from app.adapters.forge.github.forge import GithubForge
from app.adapters.forge.tracked import RemoteForge
from app.domain.words import MergeWait
from app.services.ports import ForgeSilent, Merged, Repository, Scheduled
from tests.fakes.forges.github.hosted import GithubHosted
from tests.fakes.forges.hosted import Hosted
from tests.fakes.forges.kinds import KINDS, twin_of
from tests.fakes.forges.protection import LaterMerge
from tests.fakes.forges.twin import ForgeTwin

REPO = Repository("proj_1", "", full_name="acme/shop")
SCHEDULED = Merged(None, waits_for=MergeWait.CHECKS)
QUEUED = Merged(None, waits_for=MergeWait.QUEUE)


class Scene:
    """A pull request on a base that demands a check, and the adapter before its forge."""

    def __init__(self, twin: ForgeTwin, forge: RemoteForge) -> None:
        self.twin, self.forge = twin, forge
        self.shop: Hosted = twin.add_repository("acme/shop")
        self.shop.protection.required = ("ci/test",)
        self.push("mended")
        self.number = self.shop.open("afk/1", "main", "Mend it", "")

    def push(self, words: str) -> None:
        """Push a commit on the branch of the pull request."""
        self.shop.git.commit(self.shop.place, "afk/1", "mended.txt", f"{words}\n")

    @property
    def head(self) -> str:
        """The commit that the branch has."""
        return self.shop.git.tip(self.shop.place, "afk/1")

    def merge(self, head: str = "", style: str = "merge") -> Merged:
        """Merge the pull request at its head, or at another one."""
        given: dict[str, Any] = {"head_sha": head or self.head, "message": "Merge it"}
        return self.forge.merge(REPO, self.number, style=style, **given)

    def is_merged(self) -> bool:
        """Return True once the forge has merged it."""
        return self.shop.pulls[self.number]["merged"]


def scene_of(kind: str, twin: ForgeTwin, pauses: list[float]) -> tuple[Scene, ForgeClient]:
    """Return the scene at a forge; time passes as the adapter pauses."""
    token = twin.add_token("TOKEN_BOT")

    def clock() -> float:
        return monotonic() + sum(pauses)

    if kind == "github":
        sign_in = TokenSignIn(token)
        github = GithubClient(f"{twin.url}/api/v3", sign_in, pause=pauses.append, clock=clock)
        return Scene(twin, GithubForge(github, pause=pauses.append)), github
    client = ForgeClient(f"{twin.url}/api/v1", token, clock=clock)
    return Scene(twin, GiteaForge(client, pause=pauses.append)), client


@pytest.fixture
def pauses() -> list[float]:
    """How long the adapter paused."""
    return []


@pytest.fixture(params=KINDS)
def scene(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pauses: list[float],
) -> Iterator[Scene]:
    """The scene at each kind of forge."""
    with twin_of(request.param, tmp_path, monkeypatch) as twin:
        scene, client = scene_of(request.param, twin, pauses)
        with closing(client):
            yield scene
            twin.before = None


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Iterator[Scene]:
    """The scene at GitHub, where the base has a merge queue."""
    with twin_of("github", tmp_path, monkeypatch) as twin:
        scene, client = scene_of("github", twin, pauses)
        scene.shop.protection.has_queue = True
        with closing(client):
            yield scene
            twin.before = None


def queue_of(scene: Scene) -> GithubHosted:
    """Return the repository, whose queue goes on."""
    assert isinstance(scene.shop, GithubHosted)
    return scene.shop


def test_a_merge_that_lacks_a_check_is_made_by_the_forge_once_that_passes(scene: Scene) -> None:
    assert scene.merge() == SCHEDULED
    assert not scene.is_merged()
    assert scene.forge.scheduled(REPO, scene.number) == Scheduled(MergeWait.CHECKS)
    scene.shop.check(scene.number)
    assert scene.is_merged()
    # that it was made is told by its state
    assert scene.forge.scheduled(REPO, scene.number).waits_for is not None
    assert scene.forge.states(REPO, [scene.number])[scene.number].state == "merged"


def test_a_merge_whose_checks_have_passed_is_made_at_once(scene: Scene) -> None:
    scene.shop.check(scene.number)
    assert scene.merge().sha == scene.shop.git.tip(scene.shop.place, "main")
    assert scene.shop.protection.later == {}


def test_a_merge_whose_check_has_failed_is_refused_in_the_forges_words(scene: Scene) -> None:
    scene.shop.check(scene.number, "failure")
    merged = scene.merge()
    assert (merged.sha, merged.waits_for) == (None, None)
    assert "required status check" in merged.because.lower()
    assert scene.shop.protection.later == {}


def test_a_merge_is_made_in_the_style_that_was_asked_for(scene: Scene) -> None:
    scene.merge(style="squash")
    (order,) = scene.shop.protection.later.values()
    assert order.style == "squash"


def test_asking_again_leaves_one_scheduled_merge(scene: Scene) -> None:
    assert [scene.merge(), scene.merge()] == [SCHEDULED, SCHEDULED]
    assert len(scene.shop.protection.later) == 1


def test_other_commits_than_those_that_were_seen_are_not_scheduled(scene: Scene) -> None:
    seen = scene.head
    scene.push("otherwise")
    merged = scene.merge(seen)
    assert (merged.sha, merged.waits_for) == (None, None)
    assert merged.because == "it got other commits"
    assert scene.shop.protection.later == {}


def test_a_scheduled_merge_is_canceled_and_that_is_safe_to_repeat(scene: Scene) -> None:
    scene.merge()
    scene.forge.cancel_merge(REPO, scene.number, "Wrong.")
    assert scene.shop.protection.later == {}
    found = scene.forge.scheduled(REPO, scene.number)
    assert found.waits_for is None
    assert found.because
    scene.forge.cancel_merge(REPO, scene.number, "Wrong.")
    scene.shop.check(scene.number)
    assert not scene.is_merged()
    # and it can be asked for again
    assert scene.merge().sha


def test_what_was_merged_or_closed_meanwhile_is_told_as_it_is(scene: Scene) -> None:
    scene.merge()
    scene.shop.check(scene.number)
    assert scene.merge().sha == scene.shop.git.tip(scene.shop.place, "main")
    scene.push("again")
    scene.number = scene.shop.open("afk/1", "main", "Mend it again", "")
    scene.shop.close(scene.number)
    assert scene.merge().waits_for is None
    assert scene.shop.protection.later == {}


@pytest.mark.parametrize("status", [500, 0])
@pytest.mark.parametrize("is_made", [True, False])
def test_a_lost_answer_to_a_schedule_is_found_out_by_reading(
    scene: Scene, status: int, is_made: bool
) -> None:
    posts: list[str] = []

    def lose(method: str, path: str) -> tuple[int, None] | None:
        posts.extend([path] if method == "POST" else [])
        # the first one is the merge that is refused, or asks how the pull request stands
        if len(posts) != 2:
            return None
        scene.twin.before = None
        if is_made:
            scene.shop.merge_later(scene.number, LaterMerge("Merge it", "bot", "merge"))
        return status, None

    scene.twin.before = lose
    merged = scene.merge()
    if is_made:
        assert merged == SCHEDULED
        assert len(posts) == 2
    else:
        # nothing is concluded from silence: it is asked for again, or the person is told
        assert merged == SCHEDULED or merged.because
    assert len(scene.shop.protection.later) == (merged == SCHEDULED)


def test_a_forge_that_is_silent_about_a_schedule_proves_nothing(scene: Scene) -> None:
    scene.merge()
    scene.twin.before = lambda *_: (502, None)
    with pytest.raises(ForgeSilent):
        scene.forge.scheduled(REPO, scene.number)
    with pytest.raises(ForgeSilent):
        scene.forge.cancel_merge(REPO, scene.number, "Wrong.")
    assert len(scene.shop.protection.later) == 1


# --- the merge queue of GitHub ---------------------------------------------------------------


def test_a_base_with_a_queue_has_the_change_enter_it_and_leave_it_merged(github: Scene) -> None:
    github.shop.check(github.number)
    assert github.merge() == QUEUED
    assert github.forge.scheduled(REPO, github.number) == Scheduled(MergeWait.QUEUE)
    queue_of(github).run_queue(github.number)
    assert github.is_merged()


def test_what_lacks_a_check_enters_the_queue_once_that_passes(github: Scene) -> None:
    assert github.merge() == SCHEDULED
    github.shop.check(github.number)
    assert github.forge.scheduled(REPO, github.number) == Scheduled(MergeWait.QUEUE)


def test_what_the_queue_drops_is_told_with_githubs_reason(github: Scene) -> None:
    github.shop.check(github.number)
    github.merge()
    queue_of(github).run_queue(github.number, "failed_checks")
    assert github.forge.scheduled(REPO, github.number) == Scheduled(None, "failed checks")
    assert github.merge() == QUEUED


def test_a_change_leaves_the_queue_when_its_merge_is_canceled(github: Scene) -> None:
    github.shop.check(github.number)
    github.merge()
    github.forge.cancel_merge(REPO, github.number, "Wrong.")
    assert github.shop.protection.queue == {}


def test_a_repository_that_forbids_auto_merge_says_what_its_rules_lack(github: Scene) -> None:
    github.shop.protection.has_queue = False
    github.shop.protection.allows_later = False
    merged = github.merge()
    assert (merged.sha, merged.waits_for) == (None, None)
    assert merged.because == 'Required status check "ci/test" is expected'


def test_a_head_that_moves_at_the_last_moment_is_refused_by_github_itself(github: Scene) -> None:
    github.shop.protection.has_queue = False
    seen = github.head
    asked: list[str] = []

    def push_in_between(_: str, path: str) -> None:
        asked.append(path)
        if path == "/graphql" and asked.count("/graphql") == 2:
            github.push("otherwise")

    github.twin.before = push_in_between
    merged = github.merge(seen)
    assert (merged.sha, merged.waits_for) == (None, None)
    assert github.shop.protection.later == github.shop.protection.queue == {}
