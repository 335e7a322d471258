"""Two server processes on one database, each with its own data folder."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from app.records.database.database import Database
from tests.builders.repositories import make_origin
from tests.drivers.servers.processes import RunyardServer
from tests.fakes.agents.runs import until

SECONDS = 40.0
QUICK = {"RUNYARD_SWEEP_SECONDS": "1", "RUNYARD_KILL_GRACE_SECONDS": "0"}
# an agent that records its run's id and delivers a file
DELIVERS = (
    'echo "$RUNYARD_RUN_ID" >> {folder}/starts; echo x > "$RUNYARD_RUN_ID.txt"; '
    'git add -A && git commit -qm "Add a file"'
)
# an agent that waits for a line from the FIFO named like its run
AGENT = """
import os, pathlib, sys
home, run_id = pathlib.Path(sys.argv[1]), os.environ["RUNYARD_RUN_ID"]
with open(home / "starts", "a") as starts:
    starts.write(run_id + chr(10))
os.mkfifo(home / run_id)
open(home / run_id).read()
"""


@dataclass
class Pair:
    """Two servers, their clients and projects, and their database for direct queries."""

    folder: Path
    servers: tuple[RunyardServer, RunyardServer]
    shares_runs: bool
    database: Database
    clients: list[httpx.Client] = field(default_factory=list)
    projects: dict[str, str] = field(default_factory=dict)

    # --- actions -----------------------------------------------------------------------------

    def add_project(self, name: str, **settings: Any) -> str:
        """Add a project through the first server and wait for its clone; return its id."""
        (self.folder / "agent.py").write_text(AGENT)
        command = [sys.executable, "-I", str(self.folder / "agent.py"), str(self.folder)]
        origin = make_origin(self.folder / name, bare=True)
        body = {"name": name, "origin": str(origin), "agent_command": command, **settings}
        answer = self.clients[0].post("/projects", json=body)
        assert answer.status_code == 201, answer.text
        path = f"/projects/{answer.json()['id']}"
        until(lambda: self.clients[0].get(path).json()["state"] == "ready", "cloned", SECONDS)
        self.projects[name] = answer.json()["id"]
        return self.projects[name]

    def add_deliverer(self, name: str) -> str:
        """Add a project whose agent delivers at once; return its id."""
        line = DELIVERS.format(folder=self.folder)
        return self.add_project(name, agent_command=["/bin/sh", "-c", line])

    def start(self, server: int, project: str, task: str, **order: Any) -> httpx.Response:
        """Submit a run to a server; `key` is sent as the idempotency key."""
        key = order.pop("key", None)
        body = {"project_id": self.projects[project], "task": task, **order}
        headers = {"x-idempotency-key": key} if key else {}
        return self.clients[server].post("/runs", json=body, headers=headers)

    def at_once(self, count: int, call: Callable[[int], httpx.Response]) -> list[httpx.Response]:
        """Make `count` calls at the same moment, passing each its number; return the answers."""
        barrier = threading.Barrier(count)

        def one(number: int) -> httpx.Response:
            barrier.wait(20)
            return call(number)

        with ThreadPoolExecutor(count) as threads:
            return list(threads.map(one, range(count)))

    def let_go(self, run_id: str) -> None:
        """Let a run's agent finish."""
        self.wait_for_agent(run_id)
        (self.folder / run_id).write_text("go")

    def kill(self, server: int) -> None:
        """Kill a server without warning."""
        self.servers[server].kill()

    def restart(self, server: int) -> None:
        """Start a server again."""
        self.servers[server].start()

    def add_issue(self, project: str) -> None:
        """Add an issue labeled ready for an agent."""
        body = {"title": "Mend it", "labels": ["ready-for-agent"]}
        answer = self._alive().post(f"/projects/{self.projects[project]}/issues", json=body)
        assert answer.status_code == 201, answer.text

    def set_auto(self, project: str, *, enabled: bool) -> None:
        """Switch a project's auto loop on or off."""
        path = f"/projects/{self.projects[project]}/afk/auto"
        self._alive().put(path, json={"enabled": enabled}).raise_for_status()

    def _alive(self) -> httpx.Client:
        pairs = zip(self.servers, self.clients, strict=True)
        return next(client for server, client in pairs if server.process is not None)

    # --- state -------------------------------------------------------------------------------

    def ask(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        """Query the database."""
        with self.database.reading() as session:
            return [tuple(row) for row in session.execute(text(query), values)]

    def taken_by(self, run_id: str) -> int:
        """Return the index of the server that owns a run."""
        marks = [(one.data_dir / "server").read_text().strip() for one in self.servers]
        [(mark,)] = self.ask("SELECT server FROM runs WHERE id = :id", id=run_id)
        return marks.index(mark)

    def sweeper(self) -> int | None:
        """Return the index of the server that sweeps, or None."""
        marks = [(one.data_dir / "server").read_text().strip() for one in self.servers]
        rows = self.ask("SELECT holder FROM lease WHERE name = 'sweep'")
        return next((marks.index(holder) for (holder,) in rows if holder in marks), None)

    def began_to_sweep(self, server: int) -> datetime:
        """Return when a server last took the sweep, according to its log."""
        lines = self.servers[server].log.splitlines()
        told = (line for line in lines if "sweep_lease_taken" in line)
        return max(datetime.fromisoformat(json.loads(line)["timestamp"]) for line in told)

    def sweeps(self, server: int) -> int:
        """Return how many sweeps a server has done since its start."""
        text = self.clients[server].get(f"{self.servers[server].url}/metrics").text
        [count] = re.findall(r"^runyard_sweeps_total (\S+)", text, re.MULTILINE)
        return int(float(count))

    def of_issues(self) -> list[tuple[str, str, int, str]]:
        """Return every run of an issue: its id, project, issue and status."""
        query = "SELECT id, project_id, issue, status FROM runs WHERE issue IS NOT NULL"
        return [
            (str(one), str(of), int(issue), str(now)) for one, of, issue, now in self.ask(query)
        ]

    def status(self, run_id: str) -> str:
        """Return a run's status."""
        [(status,)] = self.ask("SELECT status FROM runs WHERE id = :id", id=run_id)
        return str(status)

    def wait_for_status(self, run_id: str, *statuses: str) -> None:
        """Wait until a run has one of these statuses."""
        self.wait_until(lambda: self.status(run_id) in statuses, f"{run_id} is {statuses}")

    def wait_for_agent(self, run_id: str) -> None:
        """Wait until a run's agent works."""
        self.wait_until((self.folder / run_id).exists, f"the agent of {run_id} works")
        self.wait_for_status(run_id, "running")

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until the condition is true."""
        until(condition, what, SECONDS)

    def starts(self, run_id: str) -> int:
        """Return how many agents have ever started for a run."""
        file = self.folder / "starts"
        return file.read_text().split().count(run_id) if file.exists() else 0

    def agents(self, run_id: str) -> int:
        """Return how many agents of a run are alive."""
        mark, script = f"RUNYARD_RUN_ID={run_id}".encode(), str(self.folder / "agent.py").encode()
        return sum(
            mark in _read(process / "environ").split(b"\0")
            # the supervisor names the script as well, but within a longer argument
            and script in _read(process / "cmdline").split(b"\0")
            for process in Path("/proc").iterdir()
            if process.name.isdecimal()
        )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


@contextmanager
def two_servers(
    folder: Path, *, share_runs: bool, address: str | None = None, **settings: str
) -> Iterator[Pair]:
    """Start two servers at the same moment on a new database."""
    address = address or f"sqlite:///{folder / 'shared.db'}"
    shared = {**QUICK, "RUNYARD_DATABASE_URL": address, **settings}
    if share_runs:
        shared["RUNYARD_RUNS_DIR"] = str(folder / "runs")
    first, second = (RunyardServer(folder / name, dict(shared)) for name in ("one", "two"))
    with ExitStack() as after:
        for server in (first, second):
            after.callback(server.stop)
        with ThreadPoolExecutor(2) as threads:
            for started in [threads.submit(server.start) for server in (first, second)]:
                started.result()
        database = Database(address, publish=lambda _: None)
        after.callback(database.close)
        pair = Pair(folder, (first, second), share_runs, database)
        pair.clients += [after.enter_context(server.client()) for server in (first, second)]
        after.callback(_end_agents, pair)
        yield pair


def _end_agents(pair: Pair) -> None:
    # agents left by a failed test would wait forever
    for fifo in pair.folder.glob("run_*"):
        if fifo.is_fifo():
            with open(os.open(fifo, os.O_RDWR | os.O_NONBLOCK), "w") as line:
                line.write("go")
