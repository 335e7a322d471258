"""The server's cost of twenty live runs that write without end, each watched on a page."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import httpx
import psutil

from tests.bench.pages.visitors import Visitor, open_pages
from tests.bench.table import Found, Measured
from tests.bench.yard import Yard

RUNS, SHORT_RUNS = 20, 3
# BENCH_MINUTES shortens it where ten take too long
MINUTES, SHORT_MINUTES = float(os.environ.get("BENCH_MINUTES", "10")), 0.5
# by then one-time growth is over, in the server and in its allocator
WARM_SECONDS, SHORT_WARM_SECONDS = 60.0, 10.0
LIVE_SECONDS = 60
SETTINGS = {"RUNYARD_MAX_LIVE_RUNS": str(RUNS)}
# one megabyte per second, in ten pieces; the lines are as long as a compiler's
AGENT = """
import sys, time
line = "   Compiling crate-%05d v0.1.0 (/home/user/project/crates/crate) in 1.02 s, 0 warnings\\n"
number, due = 0, time.monotonic()
while True:
    piece, size = [], 0
    while size < 100_000:
        piece.append(line % (number % 100_000))
        size += len(piece[-1])
        number += 1
    sys.stdout.write("".join(piece))
    sys.stdout.flush()
    due += 0.1
    time.sleep(max(0.0, due - time.monotonic()))
"""


def write_flood(file: Path) -> list[str]:
    """Write the agent's program; return its command."""
    file.write_text(AGENT)
    return [sys.executable, str(file)]


def measure_flood(yard: Yard, project_id: str, *, is_short: bool) -> Found:
    """Measure percent of a core and memory growth in MB; stop the runs afterwards."""
    minutes, warm = (SHORT_MINUTES, SHORT_WARM_SECONDS) if is_short else (MINUTES, WARM_SECONDS)
    with yard.server.client() as client:
        count = SHORT_RUNS if is_short else RUNS
        runs = [_start(client, project_id, number) for number in range(count)]
        try:
            return asyncio.run(_watch(yard, client, runs, 60 * minutes, warm))
        finally:
            for run_id in runs:
                client.post(f"/runs/{run_id}/stop").raise_for_status()


def _start(client: httpx.Client, project_id: str, number: int) -> str:
    made = client.post("/runs", json={"project_id": project_id, "task": f"Flood {number}"})
    if made.is_error:
        raise RuntimeError(f"the run was refused: {made.text}")
    return str(made.json()["id"])


async def _watch(
    yard: Yard, client: httpx.Client, runs: list[str], seconds: float, warm: float
) -> Found:
    process = psutil.Process(yard.pid)
    await _await_live(client, len(runs))
    paths = [f"/runs/{run_id}" for run_id in runs]
    async with open_pages(yard.server, yard.sign_in(), paths) as pages:
        await asyncio.sleep(warm)
        cpu, memory = process.cpu_times(), process.memory_info().rss
        written, told = _written(client, runs), _told(pages)
        await asyncio.sleep(seconds)
        now, growth = process.cpu_times(), process.memory_info().rss - memory
        written, told = _written(client, runs) - written, _told(pages) - told
    busy = now.user + now.system - cpu.user - cpu.system
    each = len(runs) * seconds
    note = (
        f"{len(runs)} runs over {seconds / 60:g} min; each wrote {written / each / 1e6:.2f} MB/s, "
        f"each page was told {told / each / 1e3:.0f} KB/s; by socket.io, no Chromium"
    )
    return {
        "flood_cpu": Measured(100 * busy / seconds, note),
        "flood_memory": Measured(growth / 1e6, f"over {seconds / 60:g} min"),
    }


async def _await_live(client: httpx.Client, count: int) -> None:
    live = 0
    for _ in range(LIVE_SECONDS * 2):
        live = len(client.get("/runs", params={"status": "running"}).json()["items"])
        if live == count:
            return
        await asyncio.sleep(0.5)
    raise RuntimeError(f"only {live} of {count} runs are live")


def _written(client: httpx.Client, runs: list[str]) -> int:
    """Return the bytes written to the runs' logs so far, kept or not."""
    sizes = 0
    for run_id in runs:
        answer = client.get(f"/runs/{run_id}/log", params={"offset": -1})
        sizes += int(answer.headers["x-log-size"])
    return sizes


def _told(pages: list[Visitor]) -> int:
    return sum(page.heard_bytes for page in pages)
