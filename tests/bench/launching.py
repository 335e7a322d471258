"""From the trigger to the agent's first instruction, and from its exit to the word of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.bench.pairs import median_of_pairs
from tests.bench.table import Found, Measured
from tests.bench.yard import Yard
from tests.repositories import make_origin

FOLDERS, FILES_EACH = 100, 100
# its first and its last instruction tell the time
AGENT = """#!/bin/sh
date +%s.%N
echo changed > changed.txt
git add changed.txt
git commit --quiet --message Change
date +%s.%N
"""
OVER = ("succeeded", "died", "timed_out", "not_started", "stopped", "expired", "limited")


def make_large_origin(folder: Path) -> Path:
    """A repository of 10,000 files."""
    files = {
        f"part{number // FILES_EACH:03d}/file{number % FILES_EACH:03d}.txt": f"{number}\n" * 20
        for number in range(FOLDERS * FILES_EACH)
    }
    return make_origin(folder, files=files)


def write_agent(file: Path) -> list[str]:
    """The agent's command; what it writes first and last is in the run's log."""
    file.write_text(AGENT)
    return ["/bin/sh", str(file)]


def measure_launch(yard: Yard, project_id: str, scratch: Path) -> Found:
    """Both figures, from the same runs; each beside a clone of the same repository."""
    with yard.server.client() as client:
        _run(client, project_id)

        def pair() -> dict[str, float]:
            clone = _time_clone(yard.origin, scratch / "clone")
            sent, first, last, told = _run(client, project_id)
            return {"launch": first - sent - clone, "clone": clone, "told": told - last}

        values = median_of_pairs(pair)
    whole = (values["launch"] + values["clone"]) * 1000
    note = f"{FOLDERS * FILES_EACH:,} files; {whole:.0f} ms / {values['clone'] * 1000:.0f} ms"
    return {
        "launch": Measured(values["launch"] * 1000, note),
        "told": Measured(values["told"], "delivered to a local origin; on the API's stream"),
    }


def _run(client: httpx.Client, project_id: str) -> tuple[float, float, float, float]:
    """When a run was asked for, its agent began and ended, and its end was told (Unix time)."""
    with client.stream("GET", "/events") as stream:
        events = _events(stream)
        next(events)
        sent = time.time()
        made = client.post("/runs", json={"project_id": project_id, "task": "Measure"})
        made.raise_for_status()
        run_id = made.json()["id"]
        status = next(
            event["status"]
            for event in events
            if event.get("id") == run_id and event.get("status") in OVER
        )
        told = time.time()
    log = client.get(f"/runs/{run_id}/log").text.split()
    if status != "succeeded" or len(log) != 2:
        raise RuntimeError(f"the measured run ended {status}: {log}")
    _await_release(client, run_id)
    return sent, float(log[0]), float(log[1]), told


def _events(stream: httpx.Response) -> Iterator[dict[str, Any]]:
    """What is told, an empty one first: from then on nothing is missed."""
    lines = stream.iter_lines()
    next(lines)
    yield {}
    for line in lines:
        if line.startswith("data:"):
            yield json.loads(line.removeprefix("data:"))


def _await_release(client: httpx.Client, run_id: str) -> None:
    # its teardown must not be measured with the next one's launch
    until = time.monotonic() + 30
    while client.get(f"/runs/{run_id}").json()["released_at"] is None:
        if time.monotonic() > until:
            raise RuntimeError("the measured run was never released")
        time.sleep(0.05)


def _time_clone(origin: Path, target: Path) -> float:
    began = time.perf_counter()
    subprocess.run(["git", "clone", "--quiet", str(origin), str(target)], check=True)
    taken = time.perf_counter() - began
    shutil.rmtree(target)
    return taken
