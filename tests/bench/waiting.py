"""Servers on which every new run waits: one run has the only slot, and others wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.bench.yard import Yard
from tests.drivers.servers.processes import wait_for

SETTINGS = {"RUNYARD_MAX_LIVE_RUNS": "1"}
PROJECTS = 20
# until its folder is gone, so that an interrupted benchmark leaves nothing behind
AGENT = ["/bin/sh", "-c", 'while [ -e "$PWD" ]; do sleep 10; done']


@dataclass(frozen=True)
class Queue:
    """A server, the project to post runs to, and how many runs waited before those."""

    yard: Yard
    project_id: str
    depth: int


@contextmanager
def waiting_runs(yard: Yard, depth: int) -> Iterator[Queue]:
    """Take the only slot and let `depth` runs of several projects wait for it.

    The runs are put into the database while the server is stopped.
    """
    projects = [yard.add_project(f"p{n}", agent_command=AGENT) for n in range(PROJECTS)]
    with yard.server.client() as client:
        live = _post(yard, projects[-1])
        wait_for(client, f"/runs/{live}", lambda run: run["status"] == "running")
    try:
        if depth:
            _post(yard, projects[0])
            yard.server.stop()
            yard.history.fill_queue(projects, depth)
            yard.server.start()
        yield Queue(yard, projects[0], depth)
    finally:
        # first the queue, so that none of it gets the slot
        yard.history.empty_queue()
        with yard.server.client() as client:
            client.post(f"/runs/{live}/stop").raise_for_status()
            wait_for(client, f"/runs/{live}", lambda run: run["ended_at"] is not None)


def _post(yard: Yard, project_id: str) -> str:
    with yard.server.client() as client:
        made = client.post("/runs", json={"project_id": project_id, "task": "Wait"})
        made.raise_for_status()
    return str(made.json()["id"])
