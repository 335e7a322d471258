"""What a server costs that has a long history and nothing to do, and how soon it is there."""

from __future__ import annotations

import time
from statistics import median

import psutil

from tests.bench.table import Found, Measured
from tests.bench.yard import Yard

STARTS = 3
# what the last page left behind has been cleared away by then
SETTLE_SECONDS = 80
# two sweeps are in it, as in every minute
WATCH_SECONDS = 60


def measure_rest(yard: Yard, cookie: str) -> Found:
    """Start to first page, then CPU and memory without a page open."""
    starts = [_time_start(yard, cookie) for _ in range(STARTS)]
    assert yard.server.process is not None
    process = psutil.Process(yard.server.process.pid)
    time.sleep(SETTLE_SECONDS)
    before = process.cpu_times()
    time.sleep(WATCH_SECONDS)
    after = process.cpu_times()
    busy = after.user + after.system - before.user - before.system
    memory = process.memory_info().rss / 1e6
    return {
        "start": Measured(median(starts)),
        "idle": Measured(round(100 * busy / WATCH_SECONDS, 2), f"over {WATCH_SECONDS} s"),
        "memory": Measured(memory, "after one page"),
    }


def _time_start(yard: Yard, cookie: str) -> float:
    """From the command to the whole first page, for a browser that is signed in."""
    yard.server.stop()
    began = time.perf_counter()
    yard.server.start()
    with yard.server.visitor(Cookie=cookie) as browser:
        browser.get(f"{yard.server.url}/").raise_for_status()
    return time.perf_counter() - began
