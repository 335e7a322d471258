"""Servers that are killed while runs wait, start and work (F8, F15)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders.repositories import make_origin, tip_of
from tests.drivers.gates import Gate
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.fakes.agents.runs import until

COMMIT = "echo new > new.txt && git add -A && git commit -qm 'Add a file'"
SHORT = {"RUNYARD_KILL_GRACE_SECONDS": "0.5", "RUNYARD_SWEEP_SECONDS": "3600"}


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A gate that agents wait at."""
    return Gate(tmp_path)


@contextmanager
def killable_server(folder: Path, /, **settings: str) -> Iterator[RunyardServer]:
    """A server to kill and restart; at the end none of its runs is left."""
    server = RunyardServer(folder / "data", SHORT | settings).start()
    try:
        yield server
    finally:
        if server.process is None:
            server.start()
        with server.client() as client:
            for run in client.get("/runs", params={"phase": "live"}).json()["items"]:
                client.post(f"/runs/{run['id']}/stop")
                wait_for(client, f"/runs/{run['id']}/timeline", has_gone)
        server.stop()


def has_gone(timeline: dict[str, Any]) -> bool:
    """Return True once the run's processes are proved gone."""
    return any(one["kind"] == "kill_verified" for one in timeline["items"])


def add_project(
    client: httpx.Client, origin: Path, agent: str, *, wait: bool = True, **other: Any
) -> str:
    """Add a project whose agent is a shell command; return its id."""
    body = {"name": origin.name, "origin": str(origin), "agent_command": ["/bin/sh", "-c", agent]}
    answer = client.post("/projects", json=body | other)
    assert answer.status_code == 201, answer.text
    project = str(answer.json()["id"])
    if wait:
        wait_for(client, f"/projects/{project}", lambda found: found["state"] == "ready")
    return project


def post_run(client: httpx.Client, project: str, **wishes: Any) -> dict[str, Any]:
    """Submit a run; return it."""
    body = {"project_id": project, "depth_level": "quick", "target_framework": "auto"}
    answer = client.post("/runs", json=body | wishes)
    assert answer.status_code == 201, answer.text
    return answer.json()


def see(client: httpx.Client, run: dict[str, Any], status: str) -> dict[str, Any]:
    """Wait until the run has this status; return it."""
    return wait_for(client, f"/runs/{run['id']}", lambda found: found["status"] == status)


def kinds(client: httpx.Client, run: dict[str, Any]) -> list[str]:
    """Return the kinds of a run's timeline events."""
    return [one["kind"] for one in client.get(f"/runs/{run['id']}/timeline").json()["items"]]


def test_f15_a_run_outlives_its_killed_server_and_is_delivered_by_the_next(
    gate: Gate, tmp_path: Path
) -> None:
    origin = make_origin(tmp_path / "origin")
    agent = f"echo first; {gate.wait}; echo while-away; {gate.wait}; {COMMIT}; echo last"
    with killable_server(tmp_path) as server:
        with server.client() as client:
            run = post_run(client, add_project(client, origin, agent))
            gate.await_arrival()
            before = see(client, run, "running")
        server.kill()
        # the agent keeps working without a server
        gate.open()
        gate.await_arrival()
        server.start()
        with server.client() as client:
            found = client.get(f"/runs/{run['id']}").json()
            assert found["status"] == "running"
            gate.open()
            ended = see(client, run, "succeeded")
            for name in ("deadline", "started_at", "base_sha", "work_branch"):
                assert found[name] == ended[name] == before[name]
            log = client.get(f"/runs/{run['id']}/log").text
            assert log.split() == ["first", "while-away", "last"]
            told = kinds(client, run)
            assert [told.count(one) for one in ("spawned", "exited", "delivered")] == [1, 1, 1]
        assert tip_of(origin, f"refs/heads/{ended['work_branch']}")


def test_f8_a_kill_at_a_launch_and_with_a_queue_loses_nothing_and_repeats_nothing(
    gate: Gate, tmp_path: Path
) -> None:
    origin, begun = make_origin(tmp_path / "origin"), tmp_path / "begun"
    agent = f'echo "$RUNYARD_RUN_ID" >> "{begun}"; {COMMIT}'
    setup = ["/bin/sh", "-c", f"test -e '{tmp_path}/once' || {{ {gate.wait}; }}"]
    with killable_server(tmp_path, RUNYARD_MAX_LIVE_RUNS="1") as server:
        with server.client() as client:
            project = add_project(client, origin, agent, setup_command=setup)
            starting = post_run(client, project, task="first")
            gate.await_arrival()
            queued = post_run(client, project, task="second")
            assert see(client, starting, "starting")["started_at"] is None
            assert see(client, queued, "queued")["id"] != starting["id"]
        server.kill()
        (tmp_path / "once").touch()
        server.start()
        with server.client() as client:
            # taken over in the middle of its set-up command: no agent has started yet
            until(lambda: server.log.count("runs_taken_over") == 2, "the second start is over", 10)
            assert see(client, starting, "starting")["started_at"] is None
            gate.open()
            for run in (starting, queued):
                see(client, run, "succeeded")
            # each agent started once, and no run was added or lost
            assert begun.read_text().split() == [starting["id"], queued["id"]]
            assert len(client.get("/runs").json()["items"]) == 2


def test_what_happens_while_no_server_runs_is_found_by_the_next(gate: Gate, tmp_path: Path) -> None:
    with killable_server(tmp_path) as server:
        with server.client() as client:
            one = add_project(client, make_origin(tmp_path / "one"), f"{gate.wait}; exit 7")
            ending = post_run(client, one)
            gate.await_arrival()
            see(client, ending, "running")
            # the kill lands during this clone, or just before or after it
            two = add_project(client, make_origin(tmp_path / "two"), COMMIT, wait=False)
            waiting = post_run(client, two)
        server.kill()
        gate.open()
        server.start()
        with server.client() as client:
            ended = see(client, ending, "died")
            assert (ended["exit_code"], ended["because"]) == (7, "agent exited 7")
            wait_for(client, f"/projects/{two}", lambda found: found["state"] == "ready")
            delivered = see(client, waiting, "succeeded")
        assert tip_of(tmp_path / "two", f"refs/heads/{delivered['work_branch']}")
        mirrors = os.listdir(server.data_dir / "runs" / "mirrors")
        assert sorted(name for name in mirrors if name[0] != ".") == [f"{one}.git", f"{two}.git"]
