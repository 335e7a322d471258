"""The client of forges: odd answers conclude nothing, and nobody asks again too soon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.adapters.forge.client import BODY_CAP, ForgeClient
from app.services.ports import ForgeSilent
from tests.fakes.clocks import StillClock
from tests.fakes.forges.twin import ForgeTwin

ISSUES = "/repos/acme/shop/issues"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForgeTwin]:
    """A forge with a repository, and one that has another name now."""
    with ForgeTwin(tmp_path_factory.mktemp("forge")) as twin:
        twin.add_token("TOKEN_BOT")
        twin.add_repository("acme/shop").write("One")
        twin.add_repository("acme/old").renamed_to = "acme/shop"
        yield twin


@pytest.fixture
def clock() -> StillClock:
    """The client's clock."""
    return StillClock()


@pytest.fixture
def client(twin: ForgeTwin, clock: StillClock) -> Iterator[ForgeClient]:
    """A client whose pauses are as long as they may be."""
    twin.before = None
    made = ForgeClient(f"{twin.url}/api/v1", "TOKEN_BOT", clock=clock, pick=lambda _, most: most)
    yield made
    made.close()
    twin.before = None


def silence_of(call: Callable[[], Any]) -> ForgeSilent:
    """Return the silence that a call raises."""
    with pytest.raises(ForgeSilent) as raised:
        call()
    return raised.value


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, b"<html>a proxy</html>"),
        (200, None),
        (200, {"message": "no list"}),
        (500, {"message": ""}),
        (502, b"<html>bad gateway</html>"),
        (0, None),
        (200, b"x" * (BODY_CAP + 1)),
    ],
    ids=["html", "empty", "no list", "500", "502", "cut", "too long"],
)
def test_an_odd_answer_is_silence_and_no_empty_list(
    twin: ForgeTwin, client: ForgeClient, status: int, answer: Any
) -> None:
    twin.before = lambda _, __: (status, answer)
    assert not silence_of(lambda: client.pages(ISSUES)).needs_attention


def test_no_answer_brings_what_cannot_be_stored(twin: ForgeTwin, client: ForgeClient) -> None:
    twin.before = lambda _, __: (200, {"title": "A\0b\ud800", "of": ["\0"], "n": 1})
    assert client.get(ISSUES).row == {"title": "A\ufffdb?", "of": ["\ufffd"], "n": 1}


def test_an_outage_is_asked_about_less_and_less(
    twin: ForgeTwin, client: ForgeClient, clock: StillClock
) -> None:
    twin.before = lambda _, __: (500, {"message": ""})
    waits: list[int | None] = []
    for _ in range(8):
        waits.append(silence_of(lambda: client.get(ISSUES)).retry_after)
        spent = client.meter.read().requests
        silence_of(lambda: client.get(ISSUES))
        assert client.meter.read().requests == spent, "asked again before the pause was over"
        clock.now += 61
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    twin.before = None
    assert client.get(ISSUES).is_good


def test_a_refused_token_is_not_tried_again(twin: ForgeTwin, client: ForgeClient) -> None:
    twin.before = lambda _, __: (401, {"message": "invalid username, password or token"})
    assert silence_of(lambda: client.get(ISSUES)).needs_attention
    twin.before, spent = None, client.meter.read().requests
    assert silence_of(lambda: client.get(ISSUES)).needs_attention
    assert (client.meter.read().requests, client.refused) == (spent, "the forge refused the token")


def test_a_limit_is_obeyed_and_a_missing_scope_is_named(
    twin: ForgeTwin, client: ForgeClient, clock: StillClock
) -> None:
    twin.before = lambda _, __: (403, {"message": "API rate limit exceeded"})
    limited = silence_of(lambda: client.get(ISSUES))
    assert (limited.retry_after, limited.needs_attention) == (60, False)
    clock.now += 61
    scope = "token does not have at least one of required scope(s): [write:issue]"
    twin.before = lambda _, __: (403, {"message": scope})
    lacking = silence_of(lambda: client.get(ISSUES))
    assert (str(lacking), lacking.needs_attention) == (scope, True)


def test_a_renamed_repository_is_followed_with_the_same_method(
    twin: ForgeTwin, client: ForgeClient
) -> None:
    before = len(twin.hosted["acme/shop"].issues)
    made = client.send("POST", "/repos/acme/old/issues", {"title": "To the old name"})
    assert (made.status, made.row["title"]) == (201, "To the old name")
    assert len(twin.hosted["acme/shop"].issues) == before + 1


def test_a_redirect_to_another_host_is_not_followed(
    twin: ForgeTwin, client: ForgeClient, tmp_path: Path
) -> None:
    with ForgeTwin(tmp_path) as other:
        twin.before = lambda _, __: (301, f"{other.url}/api/v1{ISSUES}")
        assert silence_of(lambda: client.get(ISSUES)).needs_attention
        assert other.asked == []


@pytest.mark.parametrize("token", ["", "   "])
def test_no_client_is_made_for_nobody(twin: ForgeTwin, token: str) -> None:
    with pytest.raises(ValueError, match="nobody"):
        ForgeClient(twin.url, token)


@pytest.mark.parametrize("interval", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("answer", [(502, b"<html>"), (429, None), (0, None), (200, b"<html>")])
def test_a_minute_of_outage_costs_few_calls_however_often_anybody_asks(
    twin: ForgeTwin, clock: StillClock, interval: float, answer: tuple[int, Any]
) -> None:
    # the shortest pauses that there can be
    hasty = ForgeClient(f"{twin.url}/api/v1", "TOKEN_BOT", clock=clock, pick=lambda least, _: least)
    twin.before = lambda _, __: answer
    until = clock.now + 60
    while clock.now < until:
        # reaper, sweep, delivery, claims and requests
        for ask in (hasty.get, hasty.pages) * 3:
            with pytest.raises(ForgeSilent):
                ask(ISSUES)
        clock.now += interval
    assert hasty.meter.read().requests <= 90
    hasty.close()
    twin.before = None
