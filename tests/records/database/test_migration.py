"""Migrations: fresh, current, older with a backup, newer refused (F47, F48)."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import column, insert, inspect, text
from sqlalchemy import table as table_of
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from app.records.database import migration
from app.records.database.database import Database
from app.records.database.integrity import newest_backup
from app.records.database.migration import HEAD, REVISIONS, SchemaNewer, migrate, migrate_to
from app.records.tables import Person, Run
from tests.builders.databases import SQLITE, one_postgres
from tests.builders.rows import NOW, draft_run
from tests.drivers.servers.forked_starts import (
    SERVER,
    ForkedProcess,
    clean_environment,
    start_forked,
)

pytestmark = pytest.mark.both_databases

MIGRATIONS = Path(migration.__file__).parent / "migrations"
COMING = f"{int(HEAD) + 1:04}"
NEXT = f"""
import sqlalchemy as sa
from alembic import op

revision = "{COMING}"
down_revision = "{HEAD}"


def upgrade():
    op.add_column("person", sa.Column("nickname", sa.String(), nullable=True))
"""


@pytest.fixture
def address(tmp_path: Path, kind: str) -> str:
    """Address of a database that has no file or no tables yet."""
    if kind == SQLITE:
        return f"sqlite:///{tmp_path / 'x.db'}"
    return one_postgres().create(f"bare_{os.urandom(4).hex()}")


@pytest.fixture
def bare(address: str) -> Iterator[Database]:
    """A database without a schema."""
    database = Database(address, publish=lambda _: None)
    yield database
    database.close()


only_sqlite = pytest.mark.parametrize("kind", [SQLITE], indirect=True)


@pytest.fixture
def next_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Patch in a newer version of the program that has one more schema revision."""

    def upgrade() -> None:
        folder = tmp_path / "next"
        shutil.copytree(MIGRATIONS, folder / "migrations")
        (folder / "migrations" / "versions" / f"{COMING}_next.py").write_text(NEXT)
        monkeypatch.setattr(migration, "__file__", str(folder / "migration.py"))
        monkeypatch.setattr(migration, "HEAD", COMING)
        monkeypatch.setattr(migration, "REVISIONS", (*REVISIONS, COMING))

    return upgrade


def revision_of(database: Database) -> str:
    with database.reading() as session:
        return str(session.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def test_a_fresh_database_gets_the_newest_schema_and_no_backup(
    bare: Database, tmp_path: Path
) -> None:
    assert migrate(bare, backups=tmp_path / "backups", now=NOW) is None
    assert revision_of(bare) == HEAD
    assert not (tmp_path / "backups").exists()


@only_sqlite
def test_a_current_database_is_left_alone(bare: Database, tmp_path: Path) -> None:
    migrate(bare, backups=tmp_path / "backups", now=NOW)
    before = (tmp_path / "x.db").stat().st_mtime_ns
    assert migrate(bare, backups=tmp_path / "backups", now=NOW) is None
    assert (tmp_path / "x.db").stat().st_mtime_ns == before


# Alembic compares expression indexes in PostgreSQL only; test_run_plans.py covers both
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings(
    "ignore:autogenerate skipping metadata-specified expression-based index"
)
def test_the_schema_is_the_one_the_tables_describe(bare: Database, tmp_path: Path) -> None:
    migrate(bare, backups=tmp_path / "backups", now=NOW)
    with bare.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_every_check_and_foreign_key_of_the_tables_is_in_the_schema(
    bare: Database, tmp_path: Path
) -> None:
    # Alembic compares neither check constraints nor SQLite's foreign keys
    migrate(bare, backups=tmp_path / "backups", now=NOW)
    found = inspect(bare.engine)
    for table in SQLModel.metadata.sorted_tables:
        checks = {check.name for check in table.constraints if "Check" in type(check).__name__}
        assert {one["name"] for one in found.get_check_constraints(table.name)} == checks
        keys = {(key.column.table.name, key.parent.name) for key in table.foreign_keys}
        assert {
            (one["referred_table"], column)
            for one in found.get_foreign_keys(table.name)
            for column in one["constrained_columns"]
        } == keys


def test_the_program_knows_the_revisions_that_it_brings_along() -> None:
    script = ScriptDirectory(str(MIGRATIONS))
    known = [one.revision for one in script.walk_revisions()]
    assert tuple(reversed(known)) == REVISIONS
    assert script.get_current_head() == HEAD == REVISIONS[-1]


def test_f47_an_older_database_is_upgraded_after_a_backup_where_it_is_a_file(
    bare: Database, tmp_path: Path, next_program: Callable[[], None]
) -> None:
    migrate(bare, backups=tmp_path / "backups", now=NOW)
    with bare.transaction() as tx:
        tx.add(Person(id="person_1", name="p", created_at=NOW))
    next_program()
    backup = migrate(bare, backups=tmp_path / "backups", now=NOW)
    assert revision_of(bare) == COMING
    assert {one["name"] for one in inspect(bare.engine).get_columns("person")} >= {"nickname"}
    with bare.reading() as session:
        assert session.get(Person, "person_1") is not None
    if not bare.is_sqlite:
        assert backup is None
        return
    assert backup is not None
    assert backup == tmp_path / "backups" / f"before-{COMING}-20260102T030405Z.db"
    with sqlite3.connect(backup) as copy:
        assert copy.execute("SELECT id FROM person").fetchall() == [("person_1",)]
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copy.close()
    assert backup.stat().st_mode & 0o777 == 0o600
    assert backup.parent.stat().st_mode & 0o777 == 0o700


def test_f47_an_upgrade_that_fails_half_way_leaves_the_old_schema_and_the_backup(
    bare: Database, tmp_path: Path, next_program: Callable[[], None]
) -> None:
    migrate(bare, backups=tmp_path / "backups", now=NOW)
    next_program()
    script = tmp_path / "next" / "migrations" / "versions" / f"{COMING}_next.py"
    script.write_text(f"{NEXT}    raise RuntimeError('half way')\n")
    with pytest.raises(RuntimeError, match="half way"):
        migrate(bare, backups=tmp_path / "backups", now=NOW)
    assert revision_of(bare) == HEAD
    # a backup left incomplete by a power cut does not count
    kept = list((tmp_path / "backups").glob("*.db"))
    for whole in kept:
        whole.rename(whole.with_suffix(".part")).write_bytes(b"half")
    columns = {one["name"] for one in inspect(bare.engine).get_columns("person")}
    assert "nickname" not in columns
    assert len(kept) == (1 if bare.is_sqlite else 0)
    assert newest_backup(tmp_path) is None
    # a second attempt completes
    script.write_text(NEXT)
    migrate(bare, backups=tmp_path / "backups", now=NOW)
    if bare.is_sqlite:
        assert list((tmp_path / "backups").iterdir()) == kept == [newest_backup(tmp_path)]
    assert revision_of(bare) == COMING


def test_f48_a_newer_database_is_refused_and_untouched(bare: Database, tmp_path: Path) -> None:
    migrate(bare, backups=tmp_path / "backups", now=NOW)
    with bare.transaction() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaNewer, match=f"schema 9999.*up to {HEAD}.*newer Runyard"):
        migrate(bare, backups=tmp_path / "backups", now=NOW)
    assert revision_of(bare) == "9999"
    assert not (tmp_path / "backups").exists()


def test_runs_of_before_stay_and_may_be_checked(bare: Database, tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    migrate_to(bare, "0019", backups=backups, now=NOW)
    row = draft_run(id="run_1").model_dump(
        exclude={
            *("turn", "check_round", "checks", "review", "merging", "announce", "announced"),
            "awaits_approval",
        }
    )
    described = SQLModel.metadata.tables["runs"].c
    runs = table_of("runs", *(column(name, described[name].type) for name in row))
    with bare.transaction() as tx:
        tx.execute(insert(runs).values(row))
    migrate(bare, backups=backups, now=NOW)
    with bare.transaction() as tx:
        tx.execute(text("UPDATE runs SET status = 'checking', trigger = 'review'"))
    with pytest.raises(IntegrityError), bare.transaction() as tx:
        tx.execute(text("UPDATE runs SET status = 'cheking'"))
    with bare.reading() as session:
        run = session.get_one(Run, "run_1")
    assert (run.status, run.trigger, run.turn) == ("checking", "review", 1)
    assert (run.checks, run.review, run.awaits_approval) == (None, None, False)
    assert problems_of(bare) == []


def problems_of(database: Database) -> list[str]:
    """Return what SQLite finds wrong in its file, nothing for PostgreSQL."""
    if not database.is_sqlite:
        return []
    with database.reading() as session:
        found = session.execute(text("PRAGMA integrity_check")).scalars().all()
        return [one for one in found if one != "ok"]


START = """
import sys
from datetime import UTC, datetime
from pathlib import Path

import alembic.command
from app.records.database.database import Database
from app.records.database.migration import migrate

database = Database(sys.argv[1], publish=lambda _: None)
print("ready", flush=True)
sys.stdin.readline()
migrate(database, backups=Path(sys.argv[2]), now=datetime.now(UTC))
"""


@contextmanager
def about_to_migrate(url: str, backups: Path) -> Iterator[tuple[IO[bytes], ForkedProcess]]:
    """Start a process that migrates once it reads a line from the file; wait until it is ready."""
    (theirs, line), (told, tells) = os.pipe(), os.pipe()
    with os.fdopen(line, "wb", 0) as go, os.fdopen(told, "rb", 0) as ready:
        words = ["-c", START, url, str(backups)]
        process = start_forked(SERVER, words, clean_environment(), (theirs, tells, 2))
        os.close(theirs)
        os.close(tells)
        assert ready.readline() == b"ready\n"
        yield go, process


def test_two_servers_that_start_at_once_make_one_schema(bare: Database, tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    with about_to_migrate(bare.url, backups) as first, about_to_migrate(bare.url, backups) as other:
        for go, _ in (first, other):
            go.write(b"\n")
        assert [process.wait(30) for _, process in (first, other)] == [0, 0]
    assert revision_of(bare) == HEAD
