"""Writers that read first, in several processes, and one that holds the lock (F36, F37)."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.words import Depth
from app.records.database import database as database_module
from app.records.database.database import BUSY, Database, DatabaseSilent
from app.records.database.sqlite_files import file_of
from app.records.tables import Project
from app.services.runs.requests import RunRequest
from tests.builders.databases import POSTGRESQL, SQLITE, run_store, shared_database
from tests.builders.rows import draft_project
from tests.drivers.servers.processes import ROOT
from tests.fakes.planes import FakePlane
from tests.fakes.world import World


# the lock is SQLite's; test_two_servers.py has writers on PostgreSQL
@pytest.mark.parametrize("kind", [SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.soak)])
@pytest.mark.parametrize(
    ("processes", "threads", "times"),
    [(3, 17, 1), pytest.param(5, 50, 20, marks=pytest.mark.soak)],
)
def test_f37_fifty_writers_in_several_processes_lose_nothing_and_none_is_refused(
    kind: str, processes: int, threads: int, times: int, tmp_path: Path
) -> None:
    url = shared_database(tmp_path, kind)
    database = Database(url, publish=lambda _: None)
    with database.transaction() as tx:
        tx.add(draft_project(strikes=0))
    numbers = [str(number) for number in (processes, threads, times)]
    words = [sys.executable, "-m", "tests.drivers.servers.many_writers", url, *numbers]
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False
    )
    assert done.returncode == 0, done.stderr
    with database.reading() as session:
        assert session.get_one(Project, "proj_1").strikes == processes * threads * times
    database.close()


@contextmanager
def locked(database: Database) -> Iterator[None]:
    """Hold the write lock of a database file inside the block."""
    file = file_of(database.url)
    assert file is not None
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.parametrize("which", ["control", "runs"])
def test_f36_where_one_of_two_databases_stays_locked_nothing_is_accepted_and_it_is_said_why(
    which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.1)
    world = World()
    runs = run_store(tmp_path, SQLITE)
    plane = FakePlane(tmp_path / "data", world, database_url=None, runs_database_url=runs)
    plane.migrate()
    order = RunRequest(plane.add_project(world).id, Depth.QUICK, "auto", delay_seconds=3600)
    requester = replace(plane.requester(), key="once")

    def submit() -> str:
        return plane.services.accept.accept(order, requester, plane.clock()).run.id

    held = plane.database if which == "control" else plane.stores.runs
    assert held is not None
    with locked(held):
        with pytest.raises(DatabaseSilent) as refused:
            submit()
        assert refused.value.sentence == BUSY
        assert plane.ledgers.runs.open_runs() == []
        # a busy database is not a faulty one: reads succeed all the time
        assert plane.services.store_watch.check_once() == ""
    accepted = submit()
    assert submit() == accepted
    assert [run.id for run in plane.ledgers.runs.open_runs()] == [accepted]
    plane.stop()
