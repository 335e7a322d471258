"""Lists of GitHub in several pages: none ends too early, changes unseen, or is too long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.forge import client as forge_client
from app.adapters.forge.client import ForgeClient
from app.adapters.forge.github.client import GithubClient, TokenSignIn
from app.adapters.forge.github.forge import GithubForge
from app.services.ports import ForgeSilent, Repository
from tests.fakes.forges.github.twin import GithubTwin, github_with_shop
from tests.fakes.forges.hosted import Hosted
from tests.fakes.forges.twin import ForgeTwin

ISSUES = "/repos/acme/shop/issues"
STEADY = {"state": "open", "sort": "created", "direction": "asc"}
# of a long issue, and of the longest answer that is read here, bytes
LONG, CAP = 30_000, 500_000


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[GithubTwin]:
    """A GitHub with a repository."""
    with github_with_shop(tmp_path / "github") as twin:
        yield twin


@pytest.fixture
def shop(twin: GithubTwin) -> Hosted:
    """The repository."""
    return twin.hosted["acme/shop"]


@pytest.fixture
def client(twin: GithubTwin) -> Iterator[GithubClient]:
    """A client of the twin."""
    made = GithubClient(f"{twin.url}/api/v3", TokenSignIn("TOKEN_BOT"), pause=lambda _: None)
    yield made
    made.close()


def write(hosted: Hosted, many: int, body: str = "") -> None:
    """Write so many issues."""
    for number in range(many):
        hosted.write(f"Issue {number}", body)


def numbers(client: ForgeClient, path: str = ISSUES) -> list[int]:
    """Return the numbers of the open issues."""
    return sorted(row["number"] for row in client.pages(path, STEADY))


def open_ones(hosted: Hosted) -> list[int]:
    """Return the numbers of those that are open in truth."""
    return sorted(number for number, row in hosted.issues.items() if row["state"] == "open")


# --- ends ------------------------------------------------------------------------------------


@pytest.mark.parametrize("links_kept", [True, False])
def test_the_hundred_and_first_entry_is_seen_though_the_first_page_did_not_change(
    twin: GithubTwin, client: GithubClient, shop: Hosted, links_kept: bool
) -> None:
    twin.links_kept = links_kept
    write(shop, 100)
    assert len(numbers(client)) == 100
    # nothing has changed yet
    assert len(numbers(client)) == 100
    counted = twin.counted
    assert len(numbers(client)) == 100
    assert twin.counted == counted, "an empty page that did not change is free, too"
    write(shop, 1)
    assert numbers(client) == open_ones(shop)


def test_a_list_that_got_shorter_ends_where_it_ends_now(
    twin: GithubTwin, client: GithubClient, shop: Hosted
) -> None:
    write(shop, 101)
    for links_kept in (True, False):
        twin.links_kept = links_kept
        shop.reopen(101)
        assert len(numbers(client)) == 101
        shop.close(101)
        assert numbers(client) == open_ones(shop)


# --- changes meanwhile -----------------------------------------------------------------------


def test_five_hundred_issues_are_listed_as_they_are_though_some_close_between_the_pages(
    twin: GithubTwin, client: GithubClient, shop: Hosted
) -> None:
    write(shop, 500)
    closing = iter([5, 105, 206, 12])
    asked = 0

    def close_one(_: str, path: str) -> None:
        nonlocal asked
        asked += path.endswith("/issues")
        # after the first page, and after later ones
        if path.endswith("/issues") and asked > 1 and (number := next(closing, None)):
            shop.close(number)

    twin.before = close_one
    found = GithubForge(client).listing(Repository("proj_1", "", full_name="acme/shop"), None)
    assert [one.number for one in found.open] == open_ones(shop)


def test_a_list_that_changes_each_time_is_silence_and_no_part_of_it(
    twin: GithubTwin, client: GithubClient, shop: Hosted
) -> None:
    write(shop, 150)

    def close_one(_: str, path: str) -> None:
        shop.close(min(open_ones(shop)))

    twin.before = close_one
    with pytest.raises(ForgeSilent, match="changed while it was read"):
        numbers(client)


def test_the_second_look_at_a_list_that_stayed_as_it_was_is_free(
    twin: GithubTwin, client: GithubClient, shop: Hosted
) -> None:
    write(shop, 250)
    assert numbers(client) == open_ones(shop)
    assert (twin.counted, len(twin.asked)) == (3, 6)


# --- long pages ------------------------------------------------------------------------------


def test_a_page_that_long_issues_make_too_long_is_read_in_smaller_ones(
    twin: GithubTwin, client: GithubClient, shop: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forge_client, "BODY_CAP", CAP)
    write(shop, 70)
    write(shop, 30, "x" * LONG)
    write(shop, 20)
    assert numbers(client) == open_ones(shop)
    asked = len(twin.asked)
    assert numbers(client) == open_ones(shop)
    # twice ten of ten each for the first hundred, and the rest in one again
    assert len(twin.asked) - asked == 2 * (10 + 1)


def test_a_list_that_is_too_long_in_any_size_is_silent_alone_and_is_not_loaded_again(
    twin: GithubTwin, client: GithubClient, shop: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forge_client, "BODY_CAP", CAP)
    write(shop, 1, "x" * CAP)
    for _ in range(3):
        with pytest.raises(ForgeSilent, match="too long"):
            numbers(client)
    assert client.get("/user").is_good
    assert twin.calls("GET", "/issues") == 3


def test_long_issues_at_a_gitea_are_read_in_smaller_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forge_client, "BODY_CAP", CAP)
    with ForgeTwin(tmp_path / "gitea") as twin:
        twin.add_token("TOKEN_BOT")
        shop = twin.add_repository("acme/shop")
        write(shop, 30)
        write(shop, 20, "x" * LONG)
        write(shop, 60)
        client = ForgeClient(f"{twin.url}/api/v1", "TOKEN_BOT")
        assert numbers(client) == open_ones(shop)
        client.close()
