"""A hundred open pages: the time until the last one shows a change, and their cost at rest."""

from __future__ import annotations

import asyncio
from time import perf_counter

import httpx
import psutil

from tests.bench.pages.painting import CARDS_PATH
from tests.bench.pages.visitors import Visitor, open_pages
from tests.bench.table import Found, Measured
from tests.bench.yard import Yard

PAGES, SHORT_PAGES = 100, 10
CHANGES, SHORT_CHANGES = 60, 5
# pages batch updates for a tenth of a second: each change must find them idle
PAUSE_SECONDS = 0.4
SETTLE_SECONDS, REST_SECONDS = 5, 60
PATIENCE_SECONDS = 10


def measure_pages(yard: Yard, project_id: str, *, is_short: bool) -> Found:
    """Measure the time of a change to the last page, p95, and CPU while nothing happens."""
    pages, changes = (SHORT_PAGES, SHORT_CHANGES) if is_short else (PAGES, CHANGES)
    return asyncio.run(_measure(yard, project_id, pages, changes))


async def _measure(yard: Yard, project_id: str, count: int, changes: int) -> Found:
    by_sockets = f"{count} pages by NiceGUI's socket.io, no Chromium"
    async with open_pages(yard.server, yard.sign_in(), [CARDS_PATH] * count) as pages:
        busy = await _rest(yard)
        times, answers = await _change(yard, project_id, pages, changes)
    p95 = sorted(times)[-(-len(times) * 95 // 100) - 1]
    answer = 1000 * sorted(answers)[len(answers) // 2]
    note = f"{by_sockets}; {changes} changes from the call on, which is answered in {answer:.0f} ms"
    return {
        "fan_out": Measured(1000 * p95, note),
        "idle_pages": Measured(round(busy, 2), f"over {REST_SECONDS} s; {by_sockets}"),
    }


async def _rest(yard: Yard) -> float:
    """Return the server's CPU time in percent of a core."""
    process = psutil.Process(yard.pid)
    await asyncio.sleep(SETTLE_SECONDS)
    before = process.cpu_times()
    await asyncio.sleep(REST_SECONDS)
    after = process.cpu_times()
    return 100 * (after.user + after.system - before.user - before.system) / REST_SECONDS


async def _change(
    yard: Yard, project_id: str, pages: list[Visitor], changes: int
) -> tuple[list[float], list[float]]:
    """Return, for each change, the seconds until the last page got it, and until its answer."""
    headers = {"Authorization": f"Bearer {yard.server.token}"}
    path = f"/api/v1/projects/{project_id}"
    times, answers = [], []
    async with httpx.AsyncClient(
        base_url=yard.server.url, headers=headers, trust_env=False
    ) as client:
        for number in range(changes):
            await asyncio.sleep(PAUSE_SECONDS)
            heard, all_heard = _listen(pages, f"Changed {number}.")
            began = perf_counter()
            answer = await client.patch(path, json={"name": f"Changed {number}."})
            answers.append(perf_counter() - began)
            answer.raise_for_status()
            await asyncio.wait_for(all_heard.wait(), PATIENCE_SECONDS)
            times.append(max(heard.values()) - began)
    return times, answers


def _listen(pages: list[Visitor], words: str) -> tuple[dict[int, float], asyncio.Event]:
    """Record when each page first gets these words; the event is set once all have."""
    heard: dict[int, float] = {}
    all_heard = asyncio.Event()

    def listen(place: int, said: str, at: float) -> None:
        if words in said:
            heard.setdefault(place, at)
            if len(heard) == len(pages):
                all_heard.set()

    for place, page in enumerate(pages):
        page.on_told = lambda said, at, _, place=place: listen(place, said, at)
    return heard, all_heard
