"""A disk that is full at a commit (F38): reported clearly, no partial writes, and it recovers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from app.domain.words import Depth
from app.records.database.database import FULL, Database, DatabaseSilent
from app.records.database.sqlite_files import file_of
from app.records.tables import Person
from app.services.runs.requests import RunRequest
from tests.builders.databases import SQLITE, run_store
from tests.drivers.planes import real_plane
from tests.drivers.servers.processes import LATER, RunyardServer, running_server, wait_for
from tests.fakes.planes import FakePlane
from tests.fakes.world import World
from tests.faults.agents.test_shortages import small_disk

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
LONG = "x" * 20_000


@pytest.fixture
def plane(tmp_path: Path, world: World) -> Iterator[FakePlane]:
    """A plane whose two databases are files."""
    runs = run_store(tmp_path, SQLITE)
    plane = FakePlane(
        tmp_path / "data", world, database_url=None, runs_database_url=runs, run_quota=1000
    )
    plane.migrate()
    yield plane
    plane.rest()
    plane.stop()


@pytest.fixture
def world() -> World:
    """The fake outside world."""
    return World()


def add(database: Database, name: str) -> None:
    """Commit one row."""
    with database.transaction() as tx:
        tx.add(Person(id=name, name=name, created_at=NOON))


def fill(database: Database) -> None:
    """Commit more rows than there is room for."""
    for number in range(1000):
        add(database, f"late{number}-{'x' * 2000}")


def names(file: Path) -> set[str]:
    """Assert that a database is sound; return its people's names."""
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {row[0] for row in database.execute("SELECT name FROM person")}


def limit_pages(database: Database, pages: int) -> None:
    """Limit SQLite's page count, which has the effect of a full disk."""
    with database.engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")


def test_f38_a_commit_without_room_fails_loudly_and_works_again_with_it(tmp_path: Path) -> None:
    with real_plane(tmp_path, database_url=None) as plane:
        limit_pages(plane.database, 1)
        with pytest.raises(DatabaseSilent, match="full"):
            fill(plane.database)
        before = names(plane.settings.data_root / "runyard.db")
        assert plane.database.trouble == ""
        limit_pages(plane.database, 2**30)
        add(plane.database, "afterwards")
        assert names(plane.settings.data_root / "runyard.db") == before | {"afterwards"}


def test_f38_a_full_run_store_keeps_no_half_of_a_run_and_goes_on_without_a_restart(
    plane: FakePlane, world: World
) -> None:
    project, full = plane.add_project(world), plane.stores.runs
    assert full is not None
    limit_pages(full, 1)
    accepted: dict[str, str] = {}

    def submit(key: str) -> str:
        order = RunRequest(project.id, Depth.QUICK, "auto", task=LONG, delay_seconds=3600)
        requester = replace(plane.requester(), key=key)
        return plane.services.accept.accept(order, requester, plane.clock()).run.id

    def submit_until_it_is_full() -> None:
        for number in range(100):
            accepted[f"key{number}"] = submit(f"key{number}")

    with pytest.raises(DatabaseSilent, match="full") as refused:
        submit_until_it_is_full()
    assert refused.value.sentence == FULL
    assert {run.id for run in plane.ledgers.runs.open_runs()} == set(accepted.values())
    assert plane.stores.trouble() == ""
    plane.add_issue(project)  # the other database keeps working
    limit_pages(full, 2**30)
    late = f"key{len(accepted)}"
    made = submit(late)
    assert submit(late) == made
    assert {run.id for run in plane.ledgers.runs.open_runs()} == {*accepted.values(), made}
    for database in plane.stores.all():
        file = file_of(database.url)
        assert file is not None
        names(file)


@pytest.mark.soak
def test_f38_a_server_on_a_disk_without_room_says_so_and_goes_on_once_there_is_some(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    with small_disk(data, "12m") as disk:
        file = f"sqlite:///{data / 'runyard.db'}"
        elsewhere = {"RUNYARD_DATABASE_URL": file, "RUNYARD_RUNS_DIR": str(tmp_path / "runs")}
        with running_server(data, **elsewhere) as server, server.client() as api:
            disk.fill()
            # writes that fit into existing pages still succeed
            answers = (api.post("/login-links") for _ in range(2000))
            refused = next(answer for answer in answers if not answer.is_success)
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.json()["detail"] == FULL
            assert api.get("/projects").is_success
            disk.empty()
            assert api.post("/login-links").is_success
            assert api.get("/system").json()["trouble"] == []
        names(data / "runyard.db")


@pytest.mark.soak
@pytest.mark.parametrize("is_named", [False, True], ids=["in its folder", "named by its address"])
def test_a_server_starts_on_a_full_disk_shows_all_and_accepts_again_once_there_is_room(
    tmp_path: Path, is_named: bool
) -> None:
    data = tmp_path / "data"
    file = data / "runyard.db"
    named = {"RUNYARD_DATABASE_URL": f"sqlite:///{file}"} if is_named else {}
    with small_disk(data, "24m") as disk:
        server = RunyardServer(data, named)
        server.start()
        with server.visitor() as browser:
            assert browser.get(server.new_link()).status_code == 303
            server.stop()
            disk.fill()
            server.start(until=LATER)
            try:
                reads_everything(browser)
                with server.client() as api:
                    refuses_and_names_what_is_full(browser, api)
                    assert not is_open_to_others(file)
                    disk.empty()
                    # a backup is another process that reads the file
                    wait_for(api, "/system", lambda _: is_open_to_others(file))
                    assert api.get("/system").json()["trouble"] == []
                    assert api.post("/login-links").is_success
                assert browser.get("/readyz").text == "ok"
                assert names(file)
            finally:
                server.stop()


def reads_everything(browser: httpx.Client) -> None:
    """Assert that a signed-in user can read every page."""
    for path in ("/", "/runs", "/parked", "/settings", "/api/v1/projects", "/api/v1/runs"):
        assert browser.get(path).status_code == 200, path


def refuses_and_names_what_is_full(browser: httpx.Client, api: httpx.Client) -> None:
    """Assert that a change is refused, and that /readyz and /system name the full disk."""
    refused = api.post("/login-links")
    assert (refused.status_code, refused.json()["detail"]) == (503, FULL)
    assert browser.get("/healthz").text == "ok"
    ready = browser.get("/readyz")
    assert ready.is_success
    assert ready.text.startswith("Degraded: The disk of the data folder is full: ")
    assert ready.text.endswith(" missing")
    trouble = api.get("/system").json()["trouble"]
    assert [one["part"] for one in trouble] == ["disk"]
    assert " missing. Nothing starts until there is room; " in trouble[0]["what"]


def is_open_to_others(file: Path) -> bool:
    """Return True if this process, which is not the server, can read the database."""
    try:
        with closing(sqlite3.connect(file, timeout=0)) as database:
            return database.execute("SELECT count(*) FROM person").fetchone()[0] > 0
    except sqlite3.OperationalError:
        return False
