"""The cost of an idle server with a long history, and the time of its start."""

from __future__ import annotations

import time
from statistics import median

import psutil

from tests.bench.table import Found, Measured
from tests.bench.yard import Yard

STARTS = 3
# by then the leftovers of the last page are cleared away
SETTLE_SECONDS = 80
# holds two sweeps, as every minute does
WATCH_SECONDS = 60


def measure_starts(yard: Yard, cookie: str, note: str) -> Measured:
    """Measure start to first page of a server that has run before."""
    return Measured(median(_time_start(yard, cookie) for _ in range(STARTS)), note)


def measure_rest(yard: Yard, cookie: str) -> Found:
    """Measure start to first page, then CPU and memory without a page open."""
    start = measure_starts(yard, cookie, "")
    process = psutil.Process(yard.pid)
    time.sleep(SETTLE_SECONDS)
    before = process.cpu_times()
    time.sleep(WATCH_SECONDS)
    after = process.cpu_times()
    busy = after.user + after.system - before.user - before.system
    memory = process.memory_info().rss / 1e6
    return {
        "start": start,
        "idle": Measured(round(100 * busy / WATCH_SECONDS, 2), f"over {WATCH_SECONDS} s"),
        "memory": Measured(memory, "after one page"),
    }


def _time_start(yard: Yard, cookie: str) -> float:
    """Return seconds from the command to the complete first page, for a signed-in browser."""
    yard.server.stop()
    began = time.perf_counter()
    yard.server.start()
    with yard.server.visitor(Cookie=cookie) as browser:
        browser.get(f"{yard.server.url}/").raise_for_status()
    return time.perf_counter() - began
