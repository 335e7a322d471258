"""A server that restarts while clients post and a long queue waits: each soon gets its answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count, cycle
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, insert
from sqlmodel import col, select

from app.records.database.database import Database
from app.records.tables import Run
from tests.builders.databases import own_database
from tests.builders.repositories import make_origin
from tests.builders.rows import NOW, draft_project, draft_run, run_id
from tests.drivers.servers.processes import WAIT_SECONDS, RunyardServer
from tests.fakes.agents.runs import until
from tests.faults.servers.test_restarts import add_project, killable_server, post_run, see

CLIENTS, RESTARTS, RESTARTS_OF_THE_SOAK = 16, 1, 3
PROJECTS, WAITING, STARTABLE = 60, 2_000, 500
PLENTY = {"RUNYARD_RUN_QUOTA": "1000000", "RUNYARD_REPO_CONCURRENCY": "100"}
IDS = [f"proj_{number:024}" for number in range(PROJECTS)]


@dataclass
class Load:
    """Clients that post runs one after another, each under one key until it is answered."""

    server: RunyardServer
    # the runs by their keys, and how many answers each client has
    accepted: dict[str, str] = field(default_factory=dict)
    answers: list[int] = field(default_factory=lambda: [0] * CLIENTS)
    failures: list[str] = field(default_factory=list)
    is_up: threading.Event = field(default_factory=threading.Event)
    is_over: threading.Event = field(default_factory=threading.Event)
    news: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def posted(self) -> Iterator[None]:
        """Let the clients post while the server is up, until the block ends."""
        threads = [threading.Thread(target=self._post_on, args=(one,)) for one in range(CLIENTS)]
        self.is_up.set()
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.is_over.set()
            self.is_up.set()
            for thread in threads:
                thread.join(2 * WAIT_SECONDS)

    def see_answers(self) -> None:
        """Wait until every client has two more answers: the first may be from before."""
        with self.news:
            enough = [number + 2 for number in self.answers]
            everyone = self.news.wait_for(
                lambda: (
                    self.failures
                    or all(one >= least for one, least in zip(self.answers, enough, strict=True))
                ),
                WAIT_SECONDS,
            )
            assert everyone, f"no answer in {WAIT_SECONDS} s: {self.answers}, wanted {enough}"
            assert not self.failures

    def restart(self) -> None:
        """Kill the server without warning and start it again."""
        self.is_up.clear()
        self.server.kill()
        self.server.start()
        self.is_up.set()

    def post(self, client: httpx.Client, key: str) -> httpx.Response:
        """Post the run of a key; the project follows from the key."""
        number = int(key.rpartition("-")[2])
        body = {"project_id": IDS[number % PROJECTS], "task": f"Task {key}"}
        return client.post("/runs", json=body, headers={"x-idempotency-key": key})

    def _post_on(self, one: int) -> None:
        try:
            with self.server.client() as client:
                for number in count(one):
                    key = f"client-{one}-{number}"
                    if (run_id := self._accept(client, key)) is None:
                        return
                    with self.news:
                        self.accepted[key] = run_id
                        self.answers[one] += 1
                        self.news.notify_all()
        except Exception as problem:
            with self.news:
                self.failures.append(repr(problem))
                self.news.notify_all()

    def _accept(self, client: httpx.Client, key: str) -> str | None:
        """Post until there is an answer; return the run's id, or None if the load is over."""
        began = time.monotonic()
        while not self.is_over.is_set():
            assert self.is_up.wait(WAIT_SECONDS)
            # a connection that breaks is the server's end; a wait for an answer is not
            with suppress(httpx.NetworkError, httpx.RemoteProtocolError):
                answer = self.post(client, key)
                assert answer.status_code in (200, 201), answer.text
                return str(answer.json()["id"])
            assert time.monotonic() < began + WAIT_SECONDS
        return None


def see_starts(server: RunyardServer, project: str) -> None:
    """Wait until two more runs of the project have been started and have ended."""

    def count_ended() -> int:
        asked = {"project_id": project, "status": "died", "limit": 100}
        return len(client.get("/runs", params=asked).json()["items"])

    with server.client() as client:
        enough = count_ended() + 2
        until(lambda: count_ended() >= enough, "starts from the queue", WAIT_SECONDS)


def seed_queue(folder: Path, startable: str, provenance: dict[str, str]) -> None:
    """Put projects and waiting runs into the database of a server that is down.

    The first of them are of a project that has a repository, so that they can start.
    """
    address = own_database(folder).get("database_url") or f"sqlite:///{folder / 'runyard.db'}"
    with closing(Database(address, publish=lambda _: None)) as database:
        with database.transaction() as tx:
            for number, project_id in enumerate(IDS):
                drafted = draft_project(id=project_id, name=f"Project {number}")
                drafted.agent_command, drafted.max_concurrency = ["/bin/true"], 100_000
                tx.add(drafted)
        later = NOW + timedelta(seconds=1)
        usual = draft_run(created_at=later).model_dump()
        rows = [
            usual | {"id": run_id(later), "project_id": one, "work_branch": f"waiting/{number}"}
            for number, one in zip(range(WAITING), cycle(IDS), strict=False)
        ]
        usual |= {"created_at": NOW, "project_id": startable, "provenance": provenance}
        rows += [
            usual | {"id": run_id(NOW), "work_branch": f"startable/{number}"}
            for number in range(STARTABLE)
        ]
        with database.engine.begin() as connection:
            connection.execute(insert(Run), rows)


def rows_by_key(folder: Path, server: RunyardServer) -> dict[str, int]:
    """Return how many runs each client's key has, read from the databases."""
    settings = own_database(folder)
    addresses = {settings.get("database_url") or f"sqlite:///{folder / 'runyard.db'}"}
    addresses |= {settings[name] for name in ("runs_database_url",) if name in settings}
    found: dict[str, int] = {}
    for address in addresses:
        with (
            closing(Database(address, publish=lambda _: None)) as database,
            database.reading() as session,
        ):
            key = col(Run.idempotency_key)
            query = select(key, func.count()).where(key.startswith("client-")).group_by(key)
            for name, rows in session.exec(query).all():
                found[str(name)] = found.get(str(name), 0) + rows
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "restarts", [RESTARTS, pytest.param(RESTARTS_OF_THE_SOAK, marks=pytest.mark.soak)]
)
def test_clients_are_answered_and_runs_start_after_each_kill_and_none_is_doubled(
    tmp_path: Path, restarts: int
) -> None:
    with killable_server(tmp_path, RUNYARD_MAX_LIVE_RUNS="2", **PLENTY) as server:
        with server.client() as client:
            # this run takes one of two slots, and outlives the servers
            project = add_project(client, make_origin(tmp_path / "origin"), "exec sleep 3600")
            run = see(client, post_run(client, project), "running")
            startable = add_project(client, make_origin(tmp_path / "short"), "exit 1")
        server.stop()
        seed_queue(tmp_path / "data", startable, run["provenance"])
        server.start()
        load = Load(server)
        with load.posted():
            load.see_answers()
            see_starts(server, startable)
            for _ in range(restarts):
                load.restart()
                load.see_answers()
                see_starts(server, startable)
        assert not load.failures
        with server.client() as client:
            for key in [f"client-{one}-{one}" for one in range(CLIENTS)]:
                again = load.post(client, key)
                assert (again.status_code, again.json()["id"]) == (200, load.accepted[key])
            waiting = client.get("/runs", params={"phase": "waiting", "limit": 1}).json()
            assert waiting["items"][0]["status"] == "queued"
    assert rows_by_key(tmp_path / "data", server) == dict.fromkeys(load.accepted, 1)
