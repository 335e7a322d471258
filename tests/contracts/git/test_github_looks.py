"""Looks at many repositories of GitHub at once: what they cost, and what they must not miss."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.forge.github import looks
from app.adapters.forge.github.client import GithubClient, TokenSignIn
from app.adapters.forge.github.forge import GithubForge
from app.services.ports import Repository
from tests.fakes.clocks import StillClock
from tests.fakes.forges.github.hosted import GithubHosted
from tests.fakes.forges.github.twin import GithubTwin
from tests.fakes.forges.people import stamp

READY = "ready-for-agent"
LONG_AGO = "2026-01-01T00:00:00Z"


@pytest.fixture
def clock() -> StillClock:
    """The client's clock."""
    return StillClock()


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[GithubTwin]:
    """A GitHub."""
    with GithubTwin(tmp_path / "github") as twin:
        twin.add_token("TOKEN_BOT")
        yield twin
        twin.before = None


@pytest.fixture
def forge(twin: GithubTwin, clock: StillClock) -> Iterator[GithubForge]:
    """The adapter."""
    sign_in = TokenSignIn("TOKEN_BOT")
    client = GithubClient(
        f"{twin.url}/api/v3", sign_in, clock=clock, pause=lambda _: None, pick=lambda *_: 0.0
    )
    yield GithubForge(client, pause=lambda _: None)
    client.close()


def add_shops(twin: GithubTwin, many: int) -> list[Repository]:
    """Add so many repositories of acme with a ready issue each, changed long ago."""
    first = twin.add_repository("acme/shop")
    repos: list[Repository] = []
    for number in range(many):
        name = f"acme/shop-{number}"
        # without branches of their own they can share one place
        hosted = GithubHosted(name, number + 10, twin.url, first.place, twin.git, ("bot",))
        hosted.write("Broken", "", READY)
        hosted.issues[1]["updated_at"] = LONG_AGO
        twin.hosted[name] = hosted
        repos.append(Repository(f"proj_{number}", "", full_name=name))
    return repos


def shop_of(twin: GithubTwin, number: int) -> GithubHosted:
    """Return one of them."""
    hosted = twin.hosted[f"acme/shop-{number}"]
    assert isinstance(hosted, GithubHosted)
    return hosted


def ready(forge: GithubForge, repos: list[Repository], at: int = 0) -> list[int] | None:
    """Look at all repositories; return the ready issues of one."""
    found = forge.ready_issues(repos)[repos[at]]
    return None if found is None else [one.number for one in found.issues]


def test_an_hour_of_two_hundred_projects_costs_less_than_a_thousand_requests(
    forge: GithubForge, twin: GithubTwin, clock: StillClock
) -> None:
    repos = add_shops(twin, 200)
    first = forge.ready_issues(repos)
    assert None not in first.values()
    asked, counted = len(twin.asked), twin.counted
    # a sweep each 30 s
    for _ in range(120):
        clock.now += 30
        assert forge.ready_issues(repos) == first
    # two questions for each sweep, and each list once as a whole: those that GitHub does not count
    assert len(twin.asked) - asked <= 1000
    assert twin.counted - counted == 120 * 2


def test_a_change_is_seen_at_the_next_look_and_only_its_repository_is_read(
    forge: GithubForge, twin: GithubTwin
) -> None:
    repos = add_shops(twin, looks.MANY)
    assert ready(forge, repos) == [1]
    twin.asked.clear()
    shop = shop_of(twin, 0)
    shop.close(1)
    assert ready(forge, repos) == []
    assert {path for _, path in twin.asked if path != "/graphql"} == {
        "/repos/acme/shop-0/issues",
        "/repos/acme/shop-0/pulls",
    }
    # what changes again in the same second is not missed
    shop.reopen(1)
    assert ready(forge, repos) == [1]
    shop.issues[1]["labels"].clear()
    assert ready(forge, repos) == []


def test_an_opened_request_is_seen(forge: GithubForge, twin: GithubTwin) -> None:
    repos = add_shops(twin, looks.MANY)
    forge.ready_issues(repos)
    shop = shop_of(twin, 3)
    shop.git.commit(shop.place, "afk/1", "new.txt", "new\n")
    number = shop.open("afk/1", "main", "Mend it", "")
    found = forge.ready_issues(repos)[repos[3]]
    assert found is not None
    assert found.changes == {"afk/1": number}


def test_what_no_look_shows_is_read_within_the_hour(
    forge: GithubForge, twin: GithubTwin, clock: StillClock
) -> None:
    repos = add_shops(twin, looks.MANY)
    assert ready(forge, repos) == [1]
    shop_of(twin, 0).labels[0]["name"] = "renamed"
    clock.now += looks.WHOLE - 1
    assert ready(forge, repos) == [1]
    clock.now += 1
    assert ready(forge, repos) == []


def test_a_blocker_in_another_repository_is_asked_for_each_time(
    forge: GithubForge, twin: GithubTwin
) -> None:
    repos = add_shops(twin, looks.MANY)
    away = twin.hosted["acme/shop"]
    blocker = away.write("Elsewhere")
    shop_of(twin, 0).blockers[1] = [away.issues[blocker]]
    found = forge.ready_issues(repos)[repos[0]]
    assert found is not None
    assert found.issues[0].blocked_elsewhere == (f"acme/shop#{blocker}",)
    away.close(blocker)
    found = forge.ready_issues(repos)[repos[0]]
    assert found is not None
    assert found.issues[0].blocked_elsewhere == ()


def test_one_that_is_gone_or_renamed_is_asked_for_and_the_others_are_not(
    forge: GithubForge, twin: GithubTwin
) -> None:
    repos = add_shops(twin, looks.MANY)
    forge.ready_issues(repos)
    del twin.hosted["acme/shop-0"]
    shop_of(twin, 1).renamed_to = "acme/shop"
    twin.asked.clear()
    found = forge.ready_issues(repos)
    assert found[repos[0]] is None
    assert None not in [found[repo] for repo in repos[2:]]
    assert forge.has_moved("acme/shop-1")
    assert not [path for _, path in twin.asked if "/shop-2/" in path]


@pytest.mark.parametrize("answer", [(403, {"message": "No."}), (200, {"data": None})], ids=str)
def test_where_graphql_tells_nothing_the_lists_are_asked_for(
    forge: GithubForge, twin: GithubTwin, answer: tuple[int, object]
) -> None:
    repos = add_shops(twin, looks.MANY)
    twin.before = lambda _, path: answer if path == "/graphql" else None
    assert ready(forge, repos) == [1]
    shop_of(twin, 0).write("Another", "", READY)
    assert ready(forge, repos) == [1, 2]


def test_what_changed_a_moment_ago_is_read_again(forge: GithubForge, twin: GithubTwin) -> None:
    repos = add_shops(twin, looks.MANY)
    shop = shop_of(twin, 0)
    shop.issues[1]["updated_at"] = stamp()
    assert ready(forge, repos) == [1]
    # in the same second, so that nothing else shows it
    moment = shop.issues[1]["updated_at"]
    shop.issues[1]["labels"].clear()
    shop.issues[1]["updated_at"] = moment
    assert ready(forge, repos) == []


def test_an_outage_is_silence_for_all(forge: GithubForge, twin: GithubTwin) -> None:
    repos = add_shops(twin, looks.MANY)
    forge.ready_issues(repos)
    twin.before = lambda _, __: (502, b"<html>")
    assert set(forge.ready_issues(repos).values()) == {None}
