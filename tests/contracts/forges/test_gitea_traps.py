"""Traps of Forgejo and Gitea, by row of their recordings: each is walked into once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.adapters.forge.client import ForgeClient
from app.adapters.forge.gitea import GiteaForge
from app.services.ports import ChangeOrder, DiffStat, ForgeSilent, Repository
from tests.fakes.forges.desk import Text
from tests.fakes.forges.hosted import Hosted
from tests.fakes.forges.people import stamp
from tests.fakes.forges.twin import ForgeTwin

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
REPO = Repository("proj_1", "", full_name="acme/shop")
STAT = DiffStat(commits=1, files_changed=1, additions=1, deletions=0)
RUN = "run_01k8dhhrg4q1eht3bs89ltvc"


@pytest.fixture(params=["forgejo", "gitea"])
def twin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ForgeTwin]:
    """Each of the two with the repository acme/shop."""
    with ForgeTwin(tmp_path, request.param) as twin:
        twin.add_repository("acme/shop")
        twin.add_token("TOKEN_BOT")
        yield twin
        twin.before = None


@pytest.fixture
def shop(twin: ForgeTwin) -> Hosted:
    """The repository, with a branch that has a commit of its own."""
    hosted = twin.hosted["acme/shop"]
    hosted.git.commit(hosted.place, "afk/1", "mended.txt", "mended\n")
    return hosted


@pytest.fixture
def pauses() -> list[float]:
    """How long the adapter paused."""
    return []


@pytest.fixture
def forge(twin: ForgeTwin, pauses: list[float]) -> Iterator[GiteaForge]:
    """The adapter."""
    with closing(ForgeClient(f"{twin.url}/api/v1", "TOKEN_BOT")) as client:
        yield GiteaForge(client, pause=pauses.append)


def order(shop: Hosted, **more: Any) -> ChangeOrder:
    """Return the order of a pull request for the branch."""
    head = shop.git.tip(shop.place, "afk/1")
    given: dict[str, Any] = {"run_id": RUN, "title": "Mend it", "body": "", "base": "main"}
    given |= {"branch": "afk/1", "base_sha": "a" * 40, "head_sha": head, "stat": STAT}
    return ChangeOrder(**given, closes=None, **more)


# --- 03: renamed, archived, switched off -----------------------------------------------------


def test_what_is_switched_off_is_not_taken_for_something_that_is_gone(
    forge: GiteaForge, shop: Hosted
) -> None:
    issue, pull = shop.write("One"), shop.open("afk/1", "main", "Mend it", "")
    shop.has_issues = shop.has_pulls = False
    for ask in (lambda: forge.issue(REPO, issue), lambda: forge.change(REPO, pull)):
        with pytest.raises(ForgeSilent, match="switched off"):
            ask()


def test_a_repository_that_is_hidden_says_nothing_about_what_is_in_it(
    forge: GiteaForge, shop: Hosted, twin: ForgeTwin
) -> None:
    issue = shop.write("One")
    twin.before = lambda *_: (404, {"message": "not found"})
    with pytest.raises(ForgeSilent, match="does not show this"):
        forge.issue(REPO, issue)


# --- 07: labels ------------------------------------------------------------------------------


def test_a_label_that_went_away_while_it_is_taken_off_is_off(
    forge: GiteaForge, shop: Hosted, twin: ForgeTwin
) -> None:
    number = shop.write("One", "", "agent-working")

    def remove(method: str, _: str) -> None:
        if method == "DELETE":
            shop.labels.clear()

    twin.before = remove
    forge.drop_label(REPO, number, "agent-working")
    assert twin.calls("DELETE", f"/issues/{number}/labels/2") == 1


# --- 10: pull requests -----------------------------------------------------------------------


def test_a_request_keeps_its_branch_when_that_is_removed(forge: GiteaForge, shop: Hosted) -> None:
    number = shop.open("afk/1", "main", "Mend it", "")
    shop.pulls[number]["head"]["ref"] = f"refs/pull/{number}/head"
    assert forge.open_changes(REPO) == {"afk/1": number}


def test_a_request_of_a_fork_is_of_no_branch_here(forge: GiteaForge, shop: Hosted) -> None:
    number = shop.open("afk/1", "main", "Mend it", "")
    shop.pulls[number]["head"]["repo_id"] = -1
    assert forge.open_changes(REPO) == {}


def test_a_request_of_the_second_in_which_its_run_began_is_the_runs(
    forge: GiteaForge, shop: Hosted
) -> None:
    number = shop.open("afk/1", "main", "Mend it", "")
    # times there have whole seconds
    began = datetime.fromisoformat(stamp()) + timedelta(milliseconds=900)
    shop.pulls[number] |= {"created_at": f"{began:%FT%TZ}", "updated_at": f"{began:%FT%TZ}"}
    found = forge.delivery_of(REPO, RUN, "afk/1", since=began)
    assert found is not None
    assert found.number == number


def test_a_closed_request_of_the_branch_does_not_hide_the_open_one(
    forge: GiteaForge, shop: Hosted, twin: ForgeTwin
) -> None:
    shop.close(shop.open("afk/1", "main", "Mend it", ""))
    number = shop.open("afk/1", "main", "Mend it again", "")
    assert forge.open_change(REPO, order(shop), now=NOW).number == number
    assert twin.calls("POST", "/pulls") == 0


def test_a_draft_is_a_title(forge: GiteaForge, shop: Hosted) -> None:
    opened = forge.open_change(REPO, order(shop, draft=True), now=NOW)
    assert shop.pulls[opened.number]["title"] == "WIP: Mend it"


# --- 11: merges ------------------------------------------------------------------------------


def merge(forge: GiteaForge, shop: Hosted, number: int, head: str = "") -> Any:
    """Merge a pull request at the head of its branch, or at another one."""
    tip = head or shop.git.tip(shop.place, "afk/1")
    return forge.merge(REPO, number, head_sha=tip, message="Merge it")


def test_a_merge_that_is_computed_is_waited_for(
    forge: GiteaForge, shop: Hosted, pauses: list[float]
) -> None:
    number = shop.open("afk/1", "main", "Mend it", "")
    shop.computing = 2
    assert merge(forge, shop, number).sha == shop.git.tip(shop.place, "main")
    assert len(pauses) == 2


def test_a_conflict_that_is_told_by_git_is_one(
    forge: GiteaForge, shop: Hosted, twin: ForgeTwin, pauses: list[float]
) -> None:
    number = shop.open("afk/1", "main", "Mend it", "")
    said = {"Style": "merge", "StdOut": "CONFLICT", "StdErr": "", "Err": {}}
    twin.before = lambda method, _: (409, said) if method == "POST" else None
    merged = merge(forge, shop, number)
    assert (merged.sha, merged.has_conflicts, pauses) == (None, True, [])


def test_another_head_is_never_merged(forge: GiteaForge, shop: Hosted) -> None:
    number = shop.open("afk/1", "main", "Mend it", "")
    seen = shop.git.tip(shop.place, "afk/1")
    shop.git.commit(shop.place, "afk/1", "mended.txt", "otherwise\n")
    assert merge(forge, shop, number, seen).because == "head out of date"
    assert not shop.pulls[number]["merged"]


def test_what_is_merged_already_is_merged(forge: GiteaForge, shop: Hosted) -> None:
    number = shop.open("afk/1", "main", "Mend it", "")
    sha = shop.merge(number)
    # refused with 405, as everything
    assert merge(forge, shop, number).sha == sha


# --- 15: errors ------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [b"<html>Not Found</html>", b"[]", Text("[]"), None])
def test_what_does_not_say_that_it_is_json_is_no_answer(
    forge: GiteaForge, shop: Hosted, twin: ForgeTwin, page: Any
) -> None:
    shop.write("One")
    twin.before = lambda *_: (200, page)
    with pytest.raises(ForgeSilent):
        forge.issues(REPO)


# --- 17: hooks -------------------------------------------------------------------------------


def test_a_hook_is_of_a_type_that_both_know_and_made_once(forge: GiteaForge, shop: Hosted) -> None:
    shop.admins = ("bot",)
    for _ in range(2):
        assert forge.install_hook("acme/shop", "https://here.test/hooks/1", "secret") == ""
    assert [one["type"] for one in shop.hooks] == ["gitea"]


def test_who_may_not_make_a_hook_is_told_why(forge: GiteaForge, shop: Hosted) -> None:
    with pytest.raises(ForgeSilent, match="admin write"):
        forge.install_hook("acme/shop", "https://here.test/hooks/1", "secret")


# --- 18, 19: once only, and what is known after a push ---------------------------------------


def test_of_several_equal_requests_the_lowest_stays(forge: GiteaForge, shop: Hosted) -> None:
    mark = f"<!-- runyard:{RUN} -->"
    first, second, third = (shop.open("afk/1", "main", "Mend it", mark) for _ in range(3))
    assert forge.open_change(REPO, order(shop), now=NOW).number == first
    states = [shop.pulls[number]["state"] for number in (first, second, third)]
    assert states == ["open", "closed", "closed"]


def test_what_was_opened_is_looked_for_before_it_is_opened(
    forge: GiteaForge, shop: Hosted, twin: ForgeTwin
) -> None:
    numbers = {forge.open_change(REPO, order(shop), now=NOW).number for _ in range(3)}
    assert len(numbers) == 1
    assert twin.calls("POST", "/pulls") == 1


@pytest.mark.parametrize("status", [404, 500])
def test_a_branch_that_is_not_known_yet_is_waited_for(
    forge: GiteaForge, shop: Hosted, twin: ForgeTwin, pauses: list[float], status: int
) -> None:
    refused: list[str] = []

    def before(method: str, path: str) -> tuple[int, Any] | None:
        if method == "POST" and path.endswith("/pulls") and len(refused) < 2:
            refused.append(path)
            return status, {"message": ""}
        return None

    twin.before = before
    opened = forge.open_change(REPO, order(shop), now=NOW)
    assert (list(shop.pulls), len(pauses)) == ([opened.number], 2)


# --- 21: trust -------------------------------------------------------------------------------


def test_a_label_that_was_taken_off_again_is_nobodys(forge: GiteaForge, shop: Hosted) -> None:
    number = shop.write("One", "", "ready-for-agent", labelled_by="bot")
    writers = forge.writers(REPO)
    assert forge.labelled(REPO, number, "ready-for-agent", writers).may_write
    shop.unlabel(number, shop.labels[0], "bot")
    assert not forge.labelled(REPO, number, "ready-for-agent", writers).may_write
