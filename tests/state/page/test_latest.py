"""Loading the newest state with one request at a time."""

from __future__ import annotations

import asyncio

import pytest

from app.state.page.connection import LatestRequest


class Source:
    """Answers once its gate opens, with the value from the time of the request."""

    def __init__(self) -> None:
        self.truth = 0
        self.asked = 0
        self.gate = asyncio.Event()

    async def ask(self) -> int:
        self.asked += 1
        answer = self.truth
        await self.gate.wait()
        return answer


async def test_what_changed_while_asking_is_shown_in_the_end() -> None:
    source, shown = Source(), list[int]()
    latest = LatestRequest(source.ask, shown.append)
    first = asyncio.create_task(latest.request())
    await asyncio.sleep(0)
    source.truth = 1
    others = [asyncio.create_task(latest.request()) for _ in range(20)]
    await asyncio.sleep(0)
    source.gate.set()
    await asyncio.gather(first, *others)
    assert shown == [0, 1]
    assert source.asked == 2


async def test_a_call_returns_only_once_what_it_asked_for_is_shown() -> None:
    source, shown = Source(), list[int]()
    latest = LatestRequest(source.ask, shown.append)
    first = asyncio.create_task(latest.request())
    await asyncio.sleep(0)
    source.truth = 1

    async def change() -> list[int]:
        await latest.request()
        return list(shown)

    changed = asyncio.create_task(change())
    await asyncio.sleep(0)
    source.gate.set()
    await first
    assert await changed == [0, 1]


async def test_a_question_that_fails_does_not_block_the_next() -> None:
    shown: list[str] = []
    answers = iter([ValueError("no answer"), "fine"])

    async def ask() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    latest = LatestRequest(ask, shown.append)
    with pytest.raises(ValueError, match="no answer"):
        await latest.request()
    await latest.request()
    assert shown == ["fine"]


async def test_a_look_that_is_cancelled_leaves_the_others_theirs() -> None:
    source, shown = Source(), list[int]()
    latest = LatestRequest(source.ask, shown.append)
    first, second, third = (asyncio.create_task(latest.request()) for _ in range(3))
    while not source.asked:
        await asyncio.sleep(0)
    source.gate.set()
    first.cancel()
    await asyncio.gather(second, third)
    assert first.cancelled()
    assert shown == [0]
