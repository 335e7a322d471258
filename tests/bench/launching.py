"""The time from trigger to an agent's first instruction, and from its exit to an open page."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from app.domain.lifecycle import DONE
from app.domain.words import Status
from app.pages.shell.theme import look_of
from tests.bench.pages.visitors import open_pages
from tests.bench.pairs import median_of_pairs
from tests.bench.table import Found, Measured
from tests.bench.yard import Yard
from tests.builders.repositories import make_origin, run_git

FOLDERS, FILES_EACH = 100, 100
# its first and last instruction print the time; its page is opened in between
AGENT = """#!/bin/sh
date +%s.%N
echo changed > changed.txt
git add changed.txt
git commit --quiet --message Change
sleep 3
date +%s.%N
"""
PATIENCE_SECONDS = 60
_PILL = re.compile(r'run-status\\?"[^>]*><span>([^<]+)<')
_OVER = {look_of(status, None).word for status in DONE}


def make_large_origin(folder: Path) -> Path:
    """Create a repository of 10,000 files, packed: git would else pack it during a clone."""
    files = {
        f"part{number // FILES_EACH:03d}/file{number % FILES_EACH:03d}.txt": f"{number}\n" * 20
        for number in range(FOLDERS * FILES_EACH)
    }
    origin = make_origin(folder, files=files)
    run_git(origin, "gc", "--quiet")
    return origin


def write_agent(file: Path) -> list[str]:
    """Write the agent; return its command. The run's log holds its first and last moment."""
    file.write_text(AGENT)
    return ["/bin/sh", str(file)]


def measure_launch(yard: Yard, project_id: str, scratch: Path) -> Found:
    """Measure both figures on the same runs, each next to a clone of the same repository."""
    cookie = yard.sign_in()
    with yard.server.client() as client:
        asyncio.run(_run(yard, client, project_id, cookie))

        def pair() -> dict[str, float]:
            clone = _time_clone(yard.origin, scratch / "clone")
            sent, first, last, told = asyncio.run(_run(yard, client, project_id, cookie))
            return {"launch": first - sent - clone, "clone": clone, "told": told - last}

        values = median_of_pairs(pair)
    whole = (values["launch"] + values["clone"]) * 1000
    note = f"{FOLDERS * FILES_EACH:,} files; {whole:.0f} ms / {values['clone'] * 1000:.0f} ms"
    return {
        "launch": Measured(values["launch"] * 1000, note),
        "told": Measured(values["told"], "delivered to a local origin; by socket.io, no Chromium"),
    }


async def _run(
    yard: Yard, client: httpx.Client, project_id: str, cookie: str
) -> tuple[float, float, float, float]:
    """Return when a run was requested, began and ended, and a page showed its end (Unix times)."""
    sent = time.time()
    made = client.post("/runs", json={"project_id": project_id, "task": "Measure"})
    made.raise_for_status()
    run_id = made.json()["id"]
    await _until(lambda: client.get(f"/runs/{run_id}").json()["status"] == "running")
    ends: list[tuple[str, float]] = []
    over = asyncio.Event()

    def hear(said: str, _: float, at: float) -> None:
        found = _PILL.search(said)
        word = found[1].partition(" · ")[0] if found else ""
        if word in _OVER and not over.is_set():
            ends.append((word, at))
            over.set()

    async with open_pages(yard.server, cookie, [f"/runs/{run_id}"]) as [page]:
        page.on_told = hear
        await asyncio.wait_for(over.wait(), PATIENCE_SECONDS)
    [(status, told)] = ends
    log = client.get(f"/runs/{run_id}/log").text.split()
    if status != look_of(Status.SUCCEEDED, None).word or len(log) != 2:
        raise RuntimeError(f"the measured run ended {status}: {log}")
    # keep its teardown out of the next launch
    await _until(lambda: client.get(f"/runs/{run_id}").json()["released_at"] is not None)
    return sent, float(log[0]), float(log[1]), told


async def _until(is_so: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > give_up_at:
            raise RuntimeError("the measured run does not get on")
        await asyncio.sleep(0.05)


def _time_clone(origin: Path, target: Path) -> float:
    began = time.perf_counter()
    subprocess.run(["git", "clone", "--quiet", str(origin), str(target)], check=True)
    taken = time.perf_counter() - began
    shutil.rmtree(target)
    return taken
