"""Fifty unattended projects with agents of every kind; and a server that is killed repeatedly.

`SOAK_SECONDS` (1800) is the length of the loop, `SOAK_KILLS` (100) the number of kills; the seed
is fixed.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.builders.repositories import make_origin
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.soak.invariants import Yard

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3 * 3600)]

SECONDS = float(os.environ.get("SOAK_SECONDS", "1800"))
SEED = 20_261_121
PROJECTS = 50
KILLS = int(os.environ.get("SOAK_KILLS", "100"))
MODES = ["succeed", "die", "nothing", "leave", "hang", "stubborn", "daemonise", "flood"]
MIX = [10, 3, 2, 2, 1, 1, 2, 2]
BUDGET_SECONDS = 4
# after this share of the time the caches are warm; then memory may grow by so many bytes
WARM, GROWTH = 0.25, 40 * 1024 * 1024
SETTINGS = {
    "RUNYARD_MAX_LIVE_RUNS": "6",
    "RUNYARD_RUN_QUOTA": "1000000",
    "RUNYARD_SWEEP_SECONDS": "2",
    "RUNYARD_KILL_GRACE_SECONDS": "1",
    "RUNYARD_LOG_CAP_MB": "1",
}


@dataclass
class Place:
    """A server with its folder, its agents' notes and its dice."""

    server: RunyardServer
    folder: Path
    dice: random.Random

    @property
    def tallies(self) -> Path:
        return self.folder / "tallies"

    def add_project(self, client: httpx.Client, name: str, issues: int) -> str:
        agent = [sys.executable, "-I", str(Path(__file__).with_name("agent.py"))]
        body = {
            "name": name,
            "origin": str(make_origin(self.folder / name, bare=True)),
            "agent_command": [*agent, "{prompt_file}", str(self.tallies)],
            "budget_seconds": BUDGET_SECONDS,
        }
        project = str(client.post("/projects", json=body).raise_for_status().json()["id"])
        for _ in range(issues):
            self.add_issue(client, project)
        wait_for(client, f"/projects/{project}", lambda found: found["state"] == "ready")
        client.put(f"/projects/{project}/afk/auto", json={"enabled": True}).raise_for_status()
        return project

    def add_issue(self, client: httpx.Client, project: str) -> None:
        [mode] = self.dice.choices(MODES, MIX)
        body = {"title": f"Do {mode}", "body": f"mode:{mode}", "labels": ["ready-for-agent"]}
        client.post(f"/projects/{project}/issues", json=body).raise_for_status()

    def see_to(self, client: httpx.Client, project: dict[str, Any]) -> None:
        """Do the rounds of a person: reset a pause, add an issue, now and then stop a run."""
        if project["paused"] and not project["live_runs"]:
            client.post(f"/projects/{project['id']}/afk/reset").raise_for_status()
        if not project["ready_count"]:
            self.add_issue(client, project["id"])
        if self.dice.random() < 0.02:
            page = client.get("/runs", params={"project_id": project["id"], "phase": "live"})
            for run in page.json()["items"]:
                client.post(f"/runs/{run['id']}/stop")

    def finish(self, projects: list[str]) -> None:
        """Switch all loops off, wait until no run is open and stop the server."""
        with self.server.client() as client:
            for project in projects:
                client.put(f"/projects/{project}/afk/auto", json={"enabled": False})
            for _ in range(2):
                for phase in ("waiting", "live"):
                    page = client.get("/runs", params={"phase": phase, "limit": 100}).json()
                    for run in page["items"]:
                        wait_for(client, f"/runs/{run['id']}", lambda found: found["released_at"])
        self.server.stop()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "tallies").mkdir()
    server = RunyardServer(tmp_path / "data", dict(SETTINGS), is_fresh=True).start()
    try:
        yield Place(server, tmp_path, random.Random(SEED))
    finally:
        server.stop()


def test_fifty_projects_are_left_alone_with_agents_of_every_kind(place: Place) -> None:
    with place.server.client() as client:
        projects = [place.add_project(client, f"p{n}", issues=2) for n in range(PROJECTS)]
        assert place.server.process is not None
        process = psutil.Process(place.server.process.pid)
        begun, warm, slowest = time.monotonic(), None, 0.0
        while (age := time.monotonic() - begun) < SECONDS:
            asked = time.monotonic()
            found = client.get("/projects").json()["items"]
            slowest = max(slowest, time.monotonic() - asked)
            for project in found:
                place.see_to(client, project)
            if warm is None and age > SECONDS * WARM:
                warm = process.memory_info().rss
        grown = process.memory_info().rss - (warm or 0)
    place.finish(projects)
    yard = Yard(place.folder / "data", place.tallies)
    counts = yard.check()
    yard.close()
    print(f"\n{dict(counts)}; memory grew by {grown / 2**20:.1f} MiB; slowest list {slowest:.2f} s")
    assert {"succeeded", "died", "timed_out", "stopped"} <= set(counts)
    assert grown < GROWTH
    assert '"level": "error"' not in place.server.log.lower()


def test_a_server_that_is_killed_a_hundred_times_loses_nothing(place: Place) -> None:
    with place.server.client() as client:
        projects = [place.add_project(client, f"p{n}", issues=3) for n in range(4)]
    for _ in range(KILLS):
        time.sleep(place.dice.uniform(0.0, 1.5))
        place.server.kill()
        place.server.start()
        with place.server.client() as client:
            for project in client.get("/projects").json()["items"]:
                place.see_to(client, project)
    place.finish(projects)
    yard = Yard(place.folder / "data", place.tallies)
    counts = yard.check()
    yard.close()
    print(f"\n{dict(counts)}")
    assert counts["succeeded"]
