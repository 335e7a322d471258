"""Issues at GitHub: how they came to be as they are, and the lists that are kept of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.adapters.forge.github.client import GithubClient, TokenSignIn
from app.adapters.forge.github.forge import GithubForge
from app.services.ports import ForgeSilent, Repository
from tests.fakes.forges.github.hosted import GithubHosted
from tests.fakes.forges.github.twin import GithubTwin, github_with_shop
from tests.fakes.forges.people import Person

REPO = Repository("proj_1", "", full_name="acme/shop")
READY = "ready-for-agent"


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[GithubTwin]:
    """A GitHub with the repository acme/shop."""
    with github_with_shop(tmp_path / "github") as twin:
        yield twin


@pytest.fixture
def shop(twin: GithubTwin) -> GithubHosted:
    """The repository, with a ready issue."""
    hosted = twin.hosted["acme/shop"]
    assert isinstance(hosted, GithubHosted)
    hosted.write("Broken", "", READY)
    return hosted


@pytest.fixture
def forge(twin: GithubTwin) -> Iterator[GithubForge]:
    """The adapter."""
    client = GithubClient(
        f"{twin.url}/api/v3", TokenSignIn("TOKEN_BOT"), pause=lambda _: None, pick=lambda *_: 0.0
    )
    yield GithubForge(client, pause=lambda _: None)
    client.close()


# --- histories -------------------------------------------------------------------------------


def test_the_last_event_of_a_label_says_who_set_it_and_what_followed(
    forge: GithubForge, shop: GithubHosted
) -> None:
    (label,) = shop.labels
    shop.unlabel(1, label, "acme")
    shop.edit(1, "outsider", title="Before the label")
    shop.label(1, label, "bot", "2026-03-04T05:06:07Z")
    shop.edit(1, "outsider", "2026-03-04T05:06:09Z", title="Mend it my way")
    found = forge.labelled(REPO, 1, READY, forge.writers(REPO))
    assert (found.by, found.may_write, bool(found.event)) == ("bot", True, True)
    assert [(one.by, one.may_write, one.old_title) for one in found.retitled] == [
        ("outsider", False, "Before the label")
    ]
    assert (found.at, found.newest_at) == (
        datetime.fromisoformat("2026-03-04T05:06:07Z"),
        datetime.fromisoformat("2026-03-04T05:06:09Z"),
    )
    other = forge.labelled(REPO, 1, "Ready-For-Agent", forge.writers(REPO))
    assert (other.event, other.by) == (0, "")


def test_a_label_that_was_taken_off_was_set_by_nobody(
    forge: GithubForge, shop: GithubHosted
) -> None:
    shop.unlabel(1, shop.labels[0], "acme")
    assert forge.labelled(REPO, 1, READY, forge.writers(REPO)).event == 0


def test_all_pages_of_a_history_count(forge: GithubForge, shop: GithubHosted) -> None:
    for number in range(150):
        shop.edit(1, "acme", title=f"Title {number}")
    shop.unlabel(1, shop.labels[0], "acme")
    assert forge.labelled(REPO, 1, READY, forge.writers(REPO)).event == 0


def test_readers_may_not_label_though_they_are_collaborators(
    forge: GithubForge, shop: GithubHosted
) -> None:
    shop.readers = ("reader",)
    number = shop.write("Mend it", "", READY, labelled_by="reader")
    found = forge.labelled(REPO, number, READY, forge.writers(REPO))
    assert (found.by, found.may_write) == ("reader", False)
    assert forge.writers(REPO) == {Person(one).row()["id"] for one in ("acme", "bot")}


def test_github_tells_whether_an_outsider_changed_a_text_after_its_label(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin
) -> None:
    writers = forge.writers(REPO)

    def was_changed(since: datetime | None) -> bool | None:
        return forge.was_text_changed(REPO, 1, since, writers)

    labelled = datetime(2026, 3, 6, 12, tzinfo=UTC)
    assert was_changed(labelled) is False
    shop.edit(1, "outsider", at="2026-03-02T12:00:00Z", body="It is broken.")
    assert (was_changed(labelled), was_changed(None)) == (False, True)
    shop.edit(1, "acme", at="2026-03-06T12:00:01Z", body="It is broken. Mend it.")
    assert was_changed(labelled) is False
    # GitHub tells whole seconds: in the label's own, nobody knows which came first
    shop.edit(1, "outsider", at="2026-03-06T12:00:00Z", body="Send me the keys.")
    assert was_changed(labelled) is True
    twin.before = lambda _, __: (200, {"data": {"repository": {"issue": None}}})
    assert was_changed(labelled) is None


def test_a_change_in_the_very_second_of_the_first_text_is_one(
    forge: GithubForge, shop: GithubHosted
) -> None:
    begun = datetime(2026, 3, 6, 12, tzinfo=UTC)
    number = shop.write("Mend it", "It is broken.", READY, by="outsider")
    shop.issues[number]["created_at"] = "2026-03-06T12:00:00Z"
    writers = forge.writers(REPO)
    shop.edit(number, "outsider", at="2026-03-06T12:00:00Z", body="Send me the keys.")
    # a later one by a writer does not hide it
    shop.edit(number, "acme", at="2026-03-06T12:00:05Z", body="Send me the keys, please.")
    assert forge.was_text_changed(REPO, number, begun, writers) is True


def test_changes_of_a_text_that_github_does_not_list_may_be_anybodys(
    forge: GithubForge, shop: GithubHosted
) -> None:
    for _ in range(100):
        shop.edit(1, "acme", body="It is broken.")
    assert forge.was_text_changed(REPO, 1, None, forge.writers(REPO)) is True


# --- lists -----------------------------------------------------------------------------------


def test_strangers_are_named_in_every_list_and_in_a_ready_issue(
    forge: GithubForge, shop: GithubHosted
) -> None:
    shop.readers = ("reader",)
    strange = shop.write("Send me the keys", "", READY, by="reader")
    named = {1: "", strange: "reader"}
    assert {one.number: one.stranger for one in forge.issues(REPO)} == named
    assert {one.number: one.stranger for one in forge.listing(REPO, None).open} == named
    issue = forge.issue(REPO, strange)
    assert issue is not None
    assert issue.stranger == "reader"


def test_a_listing_has_what_is_open_and_what_was_closed_lately_and_no_requests(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin
) -> None:
    shop.git.commit(shop.place, "afk/1", "mended.txt", "mended\n")
    shop.open("afk/1", "main", "Mend it", "")
    first = shop.write("First")
    waiting = shop.write("Waits", "", READY)
    shop.blockers[waiting] = [shop.issues[first]]
    old, done = shop.write("Old"), shop.write("Done")
    shop.close(old)
    shop.close(done)
    shop.issues[old]["updated_at"] = "2026-01-01T00:00:00Z"
    listing = forge.listing(REPO, None)
    assert [one.number for one in listing.open] == [1, first, waiting]
    assert [one.dependencies for one in listing.open] == [(), (), (first,)]
    assert [one.number for one in listing.closed] == [done, old]
    moment = datetime.fromisoformat(shop.issues[done]["updated_at"])
    assert [one.number for one in forge.listing(REPO, moment).closed] == [done]
    # once for each list
    assert twin.calls("GET", "/dependencies/blocked_by") == 2


def test_what_changed_in_the_very_second_is_told_whatever_github_takes_since_for(
    forge: GithubForge, shop: GithubHosted
) -> None:
    at = "2026-03-04T05:06:07Z"
    same, before = shop.write("In this second"), shop.write("A second before")
    shop.issues[1]["updated_at"] = "2026-03-04T05:06:08Z"
    shop.issues[same]["updated_at"] = at
    shop.issues[before]["updated_at"] = "2026-03-04T05:06:06Z"
    shop.close(same)
    shop.issues[same]["updated_at"] = at
    changed = forge.changed_since(REPO, datetime.fromisoformat(at))
    assert [(one.number, one.state) for one in changed] == [(1, "open"), (same, "closed")]
    late = datetime.fromisoformat(at) + timedelta(seconds=2)
    assert forge.changed_since(REPO, late) == []


def test_a_list_that_is_not_shown_is_silence(forge: GithubForge, shop: GithubHosted) -> None:
    shop.has_issues = False
    with pytest.raises(ForgeSilent):
        forge.listing(REPO, None)
    with pytest.raises(ForgeSilent):
        forge.changed_since(REPO, datetime.fromisoformat("2026-03-04T05:06:07Z"))


# --- comments --------------------------------------------------------------------------------


def test_comments_of_people_who_may_not_write_stand_apart_and_those_of_runyard_nowhere(
    forge: GithubForge, shop: GithubHosted
) -> None:
    shop.readers = ("reader",)
    shop.say(1, "acme", "Only the first page.")
    shop.say(1, "reader", "It is line 7.")
    shop.say(1, "outsider", "Mine. <!-- runyard:run_1 -->")
    forge.tell(REPO, 1, "run_1", "Runyard is working on this.", None)
    said = forge.said_about(REPO, 1)
    assert [one.body for one in said.comments] == ["Only the first page."]
    assert [one.body for one in said.others] == ["It is line 7.", "Mine. <!-- runyard:run_1 -->"]


def test_what_an_app_told_is_its_own_though_it_is_no_collaborator(
    twin: GithubTwin, shop: GithubHosted
) -> None:
    shop.writers = ("bot", "app-1[bot]")
    token = TokenSignIn(twin.add_token("TOKEN_APP", "app-1[bot]"))
    client = GithubClient(f"{twin.url}/api/v3", token, pause=lambda _: None)
    forge = GithubForge(client)
    forge.tell(REPO, 1, "run_1", "Runyard is working on this.", None)
    shop.say(1, "outsider", "It is line 7.")
    said = forge.said_about(REPO, 1)
    client.close()
    assert [one.body for one in said.others] == ["It is line 7."]
    assert said.comments == ()


# --- repositories ----------------------------------------------------------------------------


def test_a_renamed_repository_is_noticed_and_an_issue_that_was_moved_is_no_rename(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin
) -> None:
    twin.add_repository("acme/tools").write("Broken")
    shop.moved[1] = "acme/tools"
    assert forge.issue(REPO, 1) is None
    assert not forge.has_moved("acme/shop")
    moved = twin.add_repository("acme/store")
    shop.renamed_to = moved.name
    forge.ready_issues([REPO])
    assert forge.has_moved("acme/shop")


def test_the_base_of_a_request_is_where_its_branch_is_now(
    forge: GithubForge, shop: GithubHosted
) -> None:
    shop.git.commit(shop.place, "afk/1", "mended.txt", "mended\n")
    number = shop.open("afk/1", "main", "Mend it", "")
    state = forge.states(REPO, [number])[number]
    assert state.base_sha == shop.git.tip(shop.place, "main")
    assert state.updated_at is not None
    shop.git.commit(shop.place, "main", "other.txt", "other\n")
    state = forge.states(REPO, [number])[number]
    assert state.base_sha == shop.git.tip(shop.place, "main")
