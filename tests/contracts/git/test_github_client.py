"""The client of GitHub: ETags, one queue, pages by number, and every kind of limit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import time
from typing import Any

import httpx
import pytest

from app.adapters.forge.github import client as github_client
from app.adapters.forge.github.client import GithubClient, KeptAnswers, TokenSignIn
from app.services.ports import ForgeSilent
from tests.fakes.clocks import StillClock
from tests.fakes.forges.github.rows import said
from tests.fakes.forges.github.twin import GithubTwin

ISSUES = "/repos/acme/shop/issues"
QUESTION = 'query($owner: String!) { n0: repository(owner: $owner, name: "shop") { id } }'
SECONDARY = said(403, "You have exceeded a secondary rate limit. Please wait a few minutes.")


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[GithubTwin]:
    """A GitHub with a repository and one issue."""
    with GithubTwin(tmp_path / "github") as twin:
        twin.add_token("TOKEN_BOT")
        twin.add_repository("acme/shop").write("One")
        yield twin
        twin.before = None


@pytest.fixture
def clock() -> StillClock:
    """The client's clock."""
    return StillClock()


@pytest.fixture
def client(twin: GithubTwin, clock: StillClock) -> Iterator[GithubClient]:
    """A client of the twin."""
    sign_in = TokenSignIn("TOKEN_BOT")
    made = GithubClient(f"{twin.url}/api/v3", sign_in, clock=clock, pause=clock.pause)
    yield made
    made.close()


def silence_of(call: Callable[[], Any]) -> ForgeSilent:
    """Return the silence that a call raises."""
    with pytest.raises(ForgeSilent) as raised:
        call()
    return raised.value


def answering(made: Any, **headers: str) -> Callable[[GithubTwin], None]:
    """Return what makes a twin give one answer, with headers, to everything."""

    def set_up(twin: GithubTwin) -> None:
        def before(_: str, __: str) -> Any:
            twin.headers = {name.replace("_", "-"): value for name, value in headers.items()}
            return made

        twin.before = before

    return set_up


def test_what_did_not_change_is_not_sent_again_and_does_not_count(
    twin: GithubTwin, client: GithubClient
) -> None:
    first = client.get(ISSUES)
    counted = twin.counted
    assert client.get(ISSUES).body == first.body
    assert (twin.counted, client.counted) == (counted, 1)
    twin.hosted["acme/shop"].write("Two")
    assert len(client.get(ISSUES).body) == 2
    assert twin.counted == counted + 1


def test_pages_are_walked_by_links_that_name_the_repository_by_its_number(
    twin: GithubTwin, client: GithubClient
) -> None:
    for number in range(230):
        twin.hosted["acme/shop"].write(f"Issue {number}")
    assert len(client.pages(ISSUES, {"state": "all"})) == 231
    # twice: only a second look shows that nothing moved between the pages
    assert twin.calls("GET", "/repositories/1/issues") == 4
    counted = twin.counted
    assert len(client.pages(ISSUES, {"state": "all"})) == 231
    assert twin.counted == counted


def test_answers_are_kept_for_one_token_alone_and_no_more_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(github_client, "MOST_KEPT", 2)
    kept = KeptAnswers()
    for name in ("a", "b", "a", "c"):
        if kept.find(("token", name)) is None:
            kept.keep(("token", name), httpx.Response(200, headers={"etag": name}, content=b"{}"))
    assert kept.find(("token", "b")) is None
    assert kept.find(("token", "a")) is not None
    assert kept.find(("another", "a")) is None
    monkeypatch.setattr(github_client, "MOST_KEPT_BYTES", 10)
    kept.keep(("token", "d"), httpx.Response(200, headers={"etag": "d"}, content=b"x" * 9))
    assert kept.find(("token", "a")) is None
    assert kept.find(("token", "d")) is not None


def test_writes_are_a_second_apart_and_reads_are_not(
    twin: GithubTwin, client: GithubClient, clock: StillClock
) -> None:
    for _ in range(3):
        client.send("POST", f"{ISSUES}/1/comments", {"body": "Hello"})
        client.get(ISSUES)
    assert clock.pauses == [1.0, 1.0]


def test_one_question_is_asked_at_a_time(twin: GithubTwin, client: GithubClient) -> None:
    at_once: list[int] = []
    guard = threading.Lock()

    def before(_: str, __: str) -> None:
        is_alone = guard.acquire(blocking=False)
        at_once.append(is_alone)
        # others that did not queue would come meanwhile
        threading.Event().wait(0.01)
        if is_alone:
            guard.release()

    twin.before = before
    threads = [threading.Thread(target=client.get, args=(ISSUES,)) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert at_once == [True] * 6


def test_who_waited_in_the_queue_asks_nothing_after_a_limit(
    twin: GithubTwin, client: GithubClient
) -> None:
    is_asked, may_answer = threading.Event(), threading.Event()

    def before(_: str, __: str) -> Any:
        is_asked.set()
        may_answer.wait(10)
        return SECONDARY

    twin.before = before
    silences: list[ForgeSilent] = []
    threads = [
        threading.Thread(target=lambda: silences.append(silence_of(lambda: client.get(ISSUES))))
        for _ in range(3)
    ]
    for one in threads:
        one.start()
    assert is_asked.wait(10)
    may_answer.set()
    for one in threads:
        one.join()
    assert len(twin.asked) == 1
    assert [one.retry_after for one in silences] == [60, 60, 60]


@pytest.mark.parametrize(
    ("made", "headers", "seconds"),
    [
        (SECONDARY, {"Retry_After": "17"}, 17),
        (said(429, "Slow down"), {"Retry_After": "17"}, 17),
        # it says nothing of when: a minute, whatever the other limit's end is
        (SECONDARY, {"X_RateLimit_Remaining": "4000", "X_RateLimit_Reset": "{in_an_hour}"}, 60),
        (said(403, "You have triggered an abuse detection mechanism"), {}, 60),
        (
            said(403, "API rate limit exceeded for user ID 1."),
            {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "{in_ten_minutes}"},
            600,
        ),
    ],
)
def test_a_limit_is_waited_for_as_long_as_it_says_and_is_no_refusal(
    twin: GithubTwin,
    client: GithubClient,
    clock: StillClock,
    made: Any,
    headers: dict[str, str],
    seconds: int,
) -> None:
    times = {"in_an_hour": int(time()) + 3600, "in_ten_minutes": int(time()) + 600}
    told = {name: value.format(**times) for name, value in headers.items()}
    answering(made, **told)(twin)
    silence = silence_of(lambda: client.get(ISSUES))
    assert not silence.needs_attention
    assert silence.retry_after == pytest.approx(seconds, abs=2)
    asked = len(twin.asked)
    silence_of(lambda: client.get(ISSUES))
    assert len(twin.asked) == asked
    twin.before = None
    clock.now += seconds + 3
    assert client.get(ISSUES).is_good


def test_a_secondary_limit_that_comes_again_is_waited_for_longer(
    twin: GithubTwin, client: GithubClient, clock: StillClock
) -> None:
    answering(SECONDARY)(twin)
    waits: list[int | None] = []
    for _ in range(3):
        waits.append(silence_of(lambda: client.get(ISSUES)).retry_after)
        clock.now += 3600
    assert waits == [60, 120, 240]
    twin.before = None
    assert client.get(ISSUES).is_good
    answering(SECONDARY)(twin)
    assert silence_of(lambda: client.get(ISSUES)).retry_after == 60


def test_a_refusal_names_the_permission_that_is_lacking(twin: GithubTwin) -> None:
    twin.add_token("github_pat_READ", "bot", "contents")
    with_less = GithubClient(f"{twin.url}/api/v3", TokenSignIn("github_pat_READ"))
    silence = silence_of(lambda: with_less.get(f"{ISSUES}/1"))
    assert silence.needs_attention
    assert "issues=read" in str(silence)
    # it holds for this question alone
    assert with_less.get("/repos/acme/shop").is_good
    with_less.close()


def test_a_nothing_changed_without_anything_kept_is_no_answer(
    twin: GithubTwin, client: GithubClient
) -> None:
    twin.before = lambda _, __: (304, {})
    assert "nothing was kept" in str(silence_of(lambda: client.get(ISSUES)))


def test_a_repository_with_another_name_is_followed_with_its_own_token(
    twin: GithubTwin, client: GithubClient
) -> None:
    twin.add_repository("acme/old").renamed_to = "acme/shop"
    assert client.get("/repos/acme/old").row["full_name"] == "acme/shop"


def test_the_answer_of_a_graphql_question_with_errors_proves_nothing(
    twin: GithubTwin, client: GithubClient
) -> None:
    question = "mutation($id: ID!) { convertPullRequestToDraft(input: {pullRequestId: $id}) }"
    silence = silence_of(lambda: client.graphql("acme", question, {"id": "PR_none"}))
    assert "Could not resolve" in str(silence)


# --- GraphQL, and ends of texts --------------------------------------------------------------


def test_a_graphql_question_is_no_write_and_a_mutation_is_one(
    twin: GithubTwin, client: GithubClient, clock: StillClock
) -> None:
    twin.before = lambda _, path: (200, {"data": {}}) if path == "/graphql" else None
    for _ in range(3):
        client.graphql("acme", "query($id: ID!) { node(id: $id) { id } }", {"id": "1"})
    assert clock.pauses == []
    for _ in range(2):
        client.graphql("acme", "mutation($id: ID!) { close(input: $id) { id } }", {"id": "1"})
    assert clock.pauses == [1.0]


@pytest.mark.parametrize(
    "error",
    [
        {"type": "RATE_LIMITED", "message": "API rate limit exceeded for user ID 1."},
        {"type": "RATE_LIMIT", "code": "graphql_rate_limit", "message": "API rate limit exceeded"},
    ],
    ids=["old", "new"],
)
def test_a_limit_that_graphql_tells_with_a_200_is_waited_for_by_graphql_alone(
    twin: GithubTwin, client: GithubClient, clock: StillClock, error: dict[str, str]
) -> None:
    def ask() -> Any:
        return client.graphql("acme", QUESTION, {"n0": "shop", "owner": "acme"}, is_partial=True)

    # not the only thing that is wrong
    twin.graphql_spent = [{"type": "NOT_FOUND", "message": "Not there"}, error]
    twin.graphql_reset = int(time()) + 900
    silence = silence_of(ask)
    assert silence.retry_after is not None
    assert 890 <= silence.retry_after <= 901
    assert not silence.needs_attention
    assert silence_of(ask).retry_after == silence.retry_after
    assert twin.calls("POST", "/graphql") == 1
    assert client.get("/user").is_good, "its budget is its own"
    twin.graphql_spent = []
    clock.now += 902
    assert ask().is_good


def test_graphql_meets_the_same_limit_in_the_manner_of_the_other_paths(
    twin: GithubTwin, client: GithubClient
) -> None:
    told = {"X_RateLimit_Resource": "graphql", "X_RateLimit_Remaining": "0"}
    told["X_RateLimit_Reset"] = f"{int(time()) + 900}"
    answering(said(403, "API rate limit exceeded for user ID 1."), **told)(twin)
    silence = silence_of(lambda: client.graphql("acme", QUESTION, {"owner": "acme"}))
    assert silence.retry_after is not None
    assert 890 <= silence.retry_after <= 901
    twin.before = None
    assert client.get("/user").is_good


def test_a_secondary_limit_that_graphql_tells_with_a_200_holds_for_everything(
    twin: GithubTwin, client: GithubClient
) -> None:
    answering((200, {"errors": [SECONDARY[1]]}))(twin)
    silence = silence_of(lambda: client.graphql("acme", QUESTION, {"owner": "acme"}))
    assert silence.retry_after == 60
    twin.before = None
    silence_of(lambda: client.get("/user"))


def test_the_end_of_a_text_is_not_asked_for_again_by_its_etag(
    twin: GithubTwin, client: GithubClient
) -> None:
    for _ in range(2):
        assert client.get_text("/user", 20) is not None
    assert twin.counted == 2
    assert client.get("/user").row["login"] == "bot"
    assert client.get("/user").row["login"] == "bot"
    assert twin.counted == 3
