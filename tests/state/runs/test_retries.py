"""Presses of Retry: one at a time, same key until answered, and shown on every list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest

from app.api.client.client import ApiClient, ApiProblem
from app.domain.words import Status, Trigger
from app.state.page.submits import Submits
from app.state.runs.retries import RETRYING, Retries, RetryUnanswered
from app.state.runs.run_board import RunBoard, RunFilters, Submitting
from tests.builders.run_samples import NOON, run_of

OLD, NEW = run_of(1, Status.DIED), run_of(2)
Answer = Callable[[httpx.Request], httpx.Response]


class Page:
    """A page with a list; its server answers with `answer` when its gate is open."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.keys: list[str] = []
        self.bodies: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.drawn: list[str] = []
        self.board, submits = RunBoard(RunFilters()), Submits()
        submits.watch("me", self.board, lambda: None)
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.handle), base_url="http://x")
        self.retries = Retries(ApiClient(http), submits, "me", lambda: NOON)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == f"/api/v1/runs/{OLD.id}/retry"
        self.keys.append(request.headers["x-idempotency-key"])
        self.bodies.append(request.content)
        await self.gate.wait()
        return self.answer(request)

    async def press(self, source: str | None = None) -> str | None:
        made = await self.retries.press(OLD, source, show=self._draw)  # type: ignore[arg-type]
        return made.id if made else None

    def rows(self) -> list[tuple[Trigger, str | None]]:
        """Return the list's rows: a submit with the run it retries, a run with its id."""
        return [
            (row.trigger, row.retry_of if isinstance(row, Submitting) else row.id)
            for row in self.board.rows()
        ]

    def _draw(self) -> None:
        self.drawn.append(self.retries.word_of(OLD.id))


def starts(_: httpx.Request) -> httpx.Response:
    return httpx.Response(201, content=NEW.model_dump_json())


def is_silent(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("lost", request=request)


def refuses(status: int) -> Answer:
    return lambda _: httpx.Response(status, json={"error": "pr_lock", "detail": "No."})


async def test_a_press_is_shown_until_its_answer_and_a_second_one_sends_nothing() -> None:
    page = Page(starts)
    page.gate.clear()
    first = asyncio.create_task(page.press())
    while not page.keys:
        await asyncio.sleep(0)
    assert page.rows() == [(Trigger.RETRY, OLD.id)]
    assert await page.press() is None
    page.gate.set()
    assert await first == NEW.id
    assert page.rows() == [(NEW.trigger, NEW.id)]
    assert page.drawn == [RETRYING, ""]
    assert (len(page.keys), page.bodies) == (1, [b"{}"])


async def test_without_an_answer_the_next_press_sends_the_same_key() -> None:
    page = Page(is_silent)
    with pytest.raises(RetryUnanswered, match="nothing can start twice"):
        await page.press()
    assert page.rows() == []
    page.answer = refuses(503)  # the error may have come after the run was stored
    with pytest.raises(ApiProblem):
        await page.press()
    page.answer = starts
    await page.press()
    assert len(set(page.keys)) == 1
    await page.press()
    assert len(set(page.keys)) == 2


async def test_a_refusal_ends_the_key_and_each_way_has_its_own() -> None:
    page = Page(refuses(409))
    for source in (None, "fresh", None):
        with pytest.raises(ApiProblem):
            await page.press(source)
    assert len(set(page.keys)) == 3
    assert page.bodies == [b"{}", b'{"from":"fresh"}', b"{}"]
    assert page.rows() == []
    assert page.retries.word_of(OLD.id) == ""


async def test_a_second_retry_is_the_press_after_the_server_has_said_that_one_is_open() -> None:
    is_open = {"error": "already_running", "detail": "Open."}
    page = Page(lambda _: httpx.Response(409, json=is_open))
    assert page.retries.words_for(OLD) == "Retry"
    assert page.retries.words_for(OLD.model_copy(update={"retried_by": [NEW.id]})) == "Retry again"
    with pytest.raises(ApiProblem):
        await page.press()
    assert page.retries.words_for(OLD) == "Retry anyway"
    page.answer = starts
    assert await page.press() == NEW.id
    assert page.bodies == [b"{}", b'{"again":true}']
    assert len(set(page.keys)) == 2
