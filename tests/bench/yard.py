"""Measured servers: their projects, their history, their sessions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.client.phase import Plan
from tests.bench.history import History, PostgresHistory, SqliteHistory
from tests.drivers.servers.processes import RunyardServer, wait_for

KEY_HEADER = "x-idempotency-key"
# limits that no measurement reaches; runs that wait an hour start no agent
HUGE = "1000000"
SETTINGS = {"RUNYARD_RUN_QUOTA": HUGE, "RUNYARD_REPO_CONCURRENCY": HUGE}
LATER_SECONDS = 3600


@dataclass
class Yard:
    """One server with the means to call it."""

    server: RunyardServer
    origin: Path
    history: History

    def add_project(
        self, name: str, *, agent_command: list[str], origin: Path | None = None
    ) -> str:
        """Register an origin, or the server's once more; return the id once its mirror is there."""
        place = str(origin or self.origin)
        order = {"name": name, "origin": place, "agent_command": agent_command}
        with self.server.client() as client:
            made = client.post("/projects", json=order)
            if made.is_error:
                raise RuntimeError(f"the project was refused: {made.text}")
            path = f"/projects/{made.json()['id']}"
            wait_for(client, path, lambda project: project["state"] != "cloning")
        return str(made.json()["id"])

    def leave_a_template(self, project_id: str) -> None:
        """Leave one real run, whose columns the seeded ones copy."""
        order = {"project_id": project_id, "task": "Measure", "delay": LATER_SECONDS}
        with self.server.client() as client:
            client.post("/runs", json=order).raise_for_status()
        self.history.end_waiting_runs()

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self.server.process is not None
        return self.server.process.pid

    def posting(self, project_id: str, requests: int, **more: Any) -> Plan:
        """Return a plan to post runs, each with a key of its own, or all with one."""
        body = json.dumps({"project_id": project_id, "task": "Measure"})
        return self._plan("/runs", requests, body=body, key_header=KEY_HEADER, **more)

    def reading(self, path: str, requests: int, **more: Any) -> Plan:
        """Return a plan to read from the API."""
        return self._plan(path, requests, method="GET", **more)

    def _plan(self, path: str, requests: int, **more: Any) -> Plan:
        headers = {"Authorization": f"Bearer {self.server.token}"}
        return Plan(f"{self.server.url}/api/v1{path}", requests, headers=headers, **more)

    def sign_in(self) -> str:
        """Sign a browser in; return the value of its Cookie header."""
        with self.server.visitor() as browser:
            browser.get(self.server.new_link()).close()
            name, value = next(iter(browser.cookies.items()))
        return f"{name}={value}"


@contextmanager
def running_yard(
    folder: Path, origin: Path, url: str | None, settings: Mapping[str, str] | None = None
) -> Iterator[Yard]:
    """Run a server on a new data folder; a test may stop and restart it.

    `url` is the address of an empty PostgreSQL database, None for SQLite in the folder.
    """
    database = {"RUNYARD_DATABASE_URL": url} if url else {}
    given = {**SETTINGS, **database, **(settings or {})}
    server = RunyardServer(folder, given, is_fresh=True).start()
    history = PostgresHistory(url) if url else SqliteHistory(folder / "runyard.db")
    try:
        yield Yard(server, origin, history)
    finally:
        server.stop()
