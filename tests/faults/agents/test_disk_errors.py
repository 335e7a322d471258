"""A disk that cannot write (F39): writing stops, everyone is notified, reading continues."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from app.records.database.database import DatabaseSilent
from app.records.database.write_guard import WritingStopped
from tests.drivers.planes import real_plane
from tests.drivers.servers.forked_starts import SYNCED
from tests.drivers.servers.processes import WAIT_SECONDS, RunyardServer, running_server
from tests.fakes.agents.runs import until

IN_A_FILE = {"database_url": None, "runs_database_url": None}


@contextmanager
def disk_that_fails(pid: int, said: Path) -> Iterator[None]:
    """Make every fsync of a process fail with EIO inside the block; skip without strace."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("NO STRACE: install strace to run this test")
    calls = "fsync,fdatasync"
    words = [strace, "-f", "-p", str(pid), "-o", "/dev/null", "-e", f"trace={calls}"]
    with said.open("wb") as told:
        process = subprocess.Popen([*words, "-e", f"inject={calls}:error=EIO"], stderr=told)
    try:
        until(lambda: said.stat().st_size or process.poll() is not None, "strace is attached", 30)
        if "attached" not in said.read_text():
            pytest.skip(f"NO PTRACE: {said.read_text()}")
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunyardServer]:
    """A server on an SQLite file."""
    file = f"sqlite:///{tmp_path / 'data' / 'runyard.db'}"
    with running_server(tmp_path / "data", RUNYARD_DATABASE_URL=file, **{SYNCED: "1"}) as server:
        yield server


def test_f39_after_a_failed_fsync_nothing_is_written_until_the_next_start(
    server: RunyardServer, tmp_path: Path
) -> None:
    assert server.process is not None
    with server.client() as api:
        assert api.post("/login-links").is_success
        with disk_that_fails(server.process.pid, tmp_path / "said"):
            refused = api.post("/login-links")
        # a later fsync would not report the lost write, so writing stops for good
        again = api.post("/login-links")
        for answer in (refused, again):
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) >= 1
            assert "nothing is written any more. Stop Runyard. Look at the disk" in answer.text
        assert api.get("/projects").is_success
        (told,) = api.get("/system").json()["trouble"]
        assert (told["part"], told["what"]) == ("database", again.json()["detail"])
        ready = httpx.get(f"{server.url}/readyz", timeout=WAIT_SECONDS)
        assert ready.status_code == 503
        assert ready.text.startswith("Degraded: the database is not written to, since 2")
    server.stop()
    with closing(sqlite3.connect(server.data_dir / "runyard.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    server.start()
    with server.client() as api:
        assert api.get("/system").json()["trouble"] == []
        assert api.post("/login-links").is_success


@pytest.mark.expects_error_log
def test_a_database_that_has_become_read_only_is_told_as_one(tmp_path: Path) -> None:
    with real_plane(tmp_path, **IN_A_FILE) as plane:
        with plane.database.engine.connect() as connection:
            # equivalent for SQLite to a file system that was remounted read-only
            connection.exec_driver_sql("PRAGMA query_only=ON")
        with pytest.raises(WritingStopped, match="readonly database"):
            plane.services.accounts.make_link_token(plane.clock())
        with pytest.raises(DatabaseSilent):
            plane.add_project()
        assert "Look at the disk" in plane.stores.trouble()
