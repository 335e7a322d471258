"""An upgrade of an old database, killed at every step, completes when it is run again (F47).

A database that is newer than the program is refused (F48).
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.config import Settings
from app.control_plane import ControlPlane
from app.records.database.migration import HEAD, SchemaNewer
from app.records.database.write_guard import WritingStopped
from tests.builders.databases import POSTGRESQL, SQLITE, put_database, run_store, shared_database
from tests.drivers.planes import real_plane
from tests.drivers.servers.processes import ROOT, refused_start

FIXTURES = Path(__file__).parents[2] / "records" / "fixtures"
# each of some fifty upgrades waits for the disk many times
UPGRADES_SECONDS = 240
COUNTED = ("person", "project", "runs", "run_events", "issue", "audit", "change_request")
# one process imports everything, then forks a child for each point to be killed at
KILLER = """
import json, os, shutil, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from sqlalchemy import event
import alembic.command, alembic.config
from app.records.database.database import Database
from app.records.database.migration import migrate

folder = Path(sys.argv[1])

def upgrade(file, kill_at=None):
    database = Database(f"sqlite:///{file}", publish=lambda _: None)
    seen = 0

    @event.listens_for(database.engine, "before_cursor_execute")
    def count(conn, cursor, statement, *rest):
        nonlocal seen
        seen += 1
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    migrate(database, backups=file.parent / "backups", now=datetime.now(UTC))
    database.close()
    return seen

def copy(name):
    place = folder / name
    place.mkdir()
    shutil.copy(folder / "old.db", place / "runyard.db")
    return place / "runyard.db"

steps = upgrade(copy("whole"))
killed = []
for step in range(1, steps + 1, max(1, steps // int(sys.argv[2]))):
    file = copy(f"at{step}")
    child = os.fork()
    if not child:
        upgrade(file, step)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    backups = len(list((file.parent / "backups").glob("*.db")))
    killed.append([os.WTERMSIG(status), backups])
    upgrade(file)
print(json.dumps(killed))
"""


def load(fixture: Path, file: Path) -> None:
    """Create a stored database as an old program left it."""
    with closing(sqlite3.connect(file)) as database:
        database.executescript(fixture.read_text())
        database.execute("PRAGMA journal_mode=WAL")


def counts(file: Path) -> dict[str, int]:
    """Assert that a database is sound; return the row counts of the main tables."""
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        return {
            table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in COUNTED
        }


def schema(file: Path) -> Any:
    """Return the definitions of all tables and indexes, and the revision."""
    with closing(sqlite3.connect(file)) as database:
        made = database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2")
        return made.fetchall(), database.execute("SELECT * FROM alembic_version").fetchall()


@pytest.mark.timeout(2 * UPGRADES_SECONDS)
@pytest.mark.parametrize("fixture", sorted(FIXTURES.glob("*.sql")), ids=lambda path: path.stem)
@pytest.mark.parametrize("points", [5, pytest.param(25, marks=pytest.mark.soak)])
def test_f47_an_upgrade_killed_at_any_step_completes_when_it_is_run_again(
    fixture: Path, points: int, tmp_path: Path
) -> None:
    old = tmp_path / "old.db"
    load(fixture, old)
    before = counts(old)
    words = [sys.executable, "-c", KILLER, str(tmp_path), str(points)]
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, timeout=UPGRADES_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    killed = json.loads(done.stdout)
    assert len(killed) >= points
    assert {signal for signal, _ in killed} == {9}
    # the backup exists before the first step that changes anything
    later = points * 3 // 5
    assert [backups for _, backups in killed][-later:] == [1] * later
    whole = tmp_path / "whole" / "runyard.db"
    expected = schema(whole)
    assert expected[1] == [(HEAD,)]
    for file in tmp_path.glob("*/runyard.db"):
        assert counts(file) == before
        assert schema(file) == expected
    for backup in tmp_path.glob("*/backups/*.db"):
        assert counts(backup) == before


def test_f48_the_program_refuses_a_database_of_a_newer_one(tmp_path: Path) -> None:
    file = tmp_path / "runyard.db"
    load(FIXTURES / "schema_0002.sql", file)
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    before = schema(file), counts(file)
    code, errors = refused_start(tmp_path)
    assert code == 1
    assert "This database has schema 9999" in errors
    assert "Start the newer Runyard, or restore a backup." in errors
    assert (schema(file), counts(file)) == before


def split_plane(folder: Path, runs: Path) -> ControlPlane:
    """Return a plane with this file as its run store; opens nothing yet."""
    settings = Settings(data_dir=folder / "data", runs_database_url=f"sqlite:///{runs}")
    put_database(settings)
    return ControlPlane(settings)


def test_f47_a_run_store_is_upgraded_after_a_backup_of_its_own(tmp_path: Path) -> None:
    runs = tmp_path / "runs.db"
    load(FIXTURES / "schema_0002.sql", runs)
    before = counts(runs)
    plane = split_plane(tmp_path, runs)
    plane.migrate()
    plane.stop()
    assert counts(runs) == before
    assert schema(runs)[1] == [(HEAD,)]
    [backup] = (tmp_path / "data" / "backups" / "runs").glob("*.db")
    assert counts(backup) == before


def test_f48_a_run_store_of_a_newer_program_is_refused_and_untouched(tmp_path: Path) -> None:
    runs = tmp_path / "runs.db"
    load(FIXTURES / "schema_0002.sql", runs)
    with closing(sqlite3.connect(runs, isolation_level=None)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    before = schema(runs), counts(runs)
    plane = split_plane(tmp_path, runs)
    with pytest.raises(SchemaNewer, match="schema 9999"):
        plane.migrate()
    plane.stop()
    assert (schema(runs), counts(runs)) == before


@pytest.mark.parametrize(
    ("kind", "which"),
    [
        (SQLITE, "runs"),
        (POSTGRESQL, "control"),
        pytest.param(SQLITE, "control", marks=pytest.mark.soak),
        pytest.param(POSTGRESQL, "runs", marks=pytest.mark.soak),
    ],
)
def test_f48_a_server_whose_database_a_newer_one_has_upgraded_writes_nothing_any_more(
    kind: str, which: str, tmp_path: Path
) -> None:
    own = {
        "database_url": shared_database(tmp_path, kind),
        "runs_database_url": run_store(tmp_path, kind),
    }
    with real_plane(tmp_path, **own) as plane:
        plane.leases.is_alone = True
        upgraded = plane.database if which == "control" else plane.stores.runs
        assert upgraded is not None
        with upgraded.transaction() as tx:
            tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        said = plane.services.store_watch.check_once()
        assert "schema 9999" in said
        assert "start the newer Runyard in its place" in said
        for database in plane.stores.all():
            with pytest.raises(WritingStopped, match="schema 9999"), database.transaction() as tx:
                tx.execute(text("UPDATE setting SET value = ''"))
