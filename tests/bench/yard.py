"""Servers to be measured: their projects, their history, their sessions."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.bench.wire import build_request
from tests.servers import RunyardServer, wait_for

# limits that no measurement reaches; runs that wait an hour start no agent
HUGE = "1000000"
SETTINGS = {"RUNYARD_RUN_QUOTA": HUGE, "RUNYARD_REPO_CONCURRENCY": HUGE}
LATER_SECONDS = 3600
YEAR_SECONDS = 365 * 86400
HISTORY = ("succeeded", "died", "stopped", "timed_out")
SEED_AT_ONCE = 100_000


@dataclass
class Yard:
    """One server with what is needed to ask it."""

    server: RunyardServer
    origin: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.server.data_dir / "runyard.db"

    def add_project(self, name: str, *, agent_command: list[str]) -> str:
        """Register the origin once more; its id, once its mirror is there."""
        order = {"name": name, "origin": str(self.origin), "agent_command": agent_command}
        with self.server.client() as client:
            made = client.post("/projects", json=order)
            made.raise_for_status()
            path = f"/projects/{made.json()['id']}"
            wait_for(client, path, lambda project: project["state"] != "cloning")
        return str(made.json()["id"])

    def order_of(self, project_id: str, *, key: str) -> bytes:
        """A POST /runs of a run that waits."""
        body = {"project_id": project_id, "task": "Measure", "delay": LATER_SECONDS}
        return self.request("POST", "/runs", body=body, key=key)

    def request(self, method: str, path: str, *, body: Any = None, key: str = "") -> bytes:
        """A call of the API with the operator's token."""
        headers = {"Authorization": f"Bearer {self.server.token}"}
        if key:
            headers["x-idempotency-key"] = key
        return build_request(method, f"/api/v1{path}", headers=headers, body=body)

    def sign_in(self) -> str:
        """A browser's session, as the value of its Cookie header."""
        with httpx.Client(trust_env=False) as browser:
            browser.get(self.server.new_link()).close()
            name, value = next(iter(browser.cookies.items()))
        return f"{name}={value}"

    def end_waiting_runs(self) -> None:
        """Make history of every open run: each pair begins with the same tables."""
        with closing(sqlite3.connect(self.database, timeout=30)) as database, database:
            database.execute(
                "UPDATE runs SET status = 'stopped', cause = 'stopped', charged_to = NULL, "
                "ended_at = created_at, released_at = created_at WHERE released_at IS NULL"
            )

    def seed(self, projects: list[str], rows: int, *, first: int = 0) -> float:
        """Add ended runs, spread evenly over the last year; the seconds it took.

        Rows are numbered from `first`; every column but those that tell runs apart is copied
        from the newest run there is.
        """
        began = time.perf_counter()
        with closing(sqlite3.connect(self.database, timeout=30)) as database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute("PRAGMA cache_size = -400000")
            statement = _seeding_statement(database, projects, first + rows)
            for begin in range(first, first + rows, SEED_AT_ONCE):
                end = min(begin + SEED_AT_ONCE, first + rows)
                with database:
                    database.execute(statement, {"begin": begin, "end": end})
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return time.perf_counter() - began


@contextmanager
def running_yard(folder: Path, origin: Path) -> Iterator[Yard]:
    """A server on a new data folder; it may be stopped and started again meanwhile."""
    server = RunyardServer(folder, SETTINGS).start()
    try:
        yield Yard(server, origin)
    finally:
        server.stop()


def _seeding_statement(database: sqlite3.Connection, projects: list[str], rows: int) -> str:
    names = [str(column[1]) for column in database.execute("PRAGMA table_info(runs)")]
    since = f"{int(time.time()) - YEAR_SECONDS} + n * {YEAR_SECONDS} / {rows}"
    moment = f"strftime('%Y-%m-%d %H:%M:%f000', {since}, 'unixepoch')"
    run_id = "printf('run_c%024d', n)"
    differing = {
        "id": run_id,
        "project_id": _pick(projects, "n"),
        "status": _pick(HISTORY, f"n / {len(projects)}"),
        "work_branch": f"'run/' || {run_id}",
        "cause": "NULL",
        "idempotency_key": "NULL",
        "charged_to": "NULL",
        **dict.fromkeys(("created_at", "started_at", "ended_at", "released_at"), moment),
    }
    values = ", ".join(differing.get(name, f"one.{name}") for name in names)
    return f"""
        WITH RECURSIVE numbers(n) AS
        (SELECT :begin UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :end)
        INSERT INTO runs ({", ".join(names)}) SELECT {values}
        FROM numbers, (SELECT * FROM runs ORDER BY created_at DESC LIMIT 1) AS one
    """  # noqa: S608 - names are the table's own, values are made here


def _pick(choices: list[str] | tuple[str, ...], number: str) -> str:
    listed = json.dumps(list(choices))
    return f"json_extract('{listed}', '$[' || (({number}) % {len(choices)}) || ']')"
