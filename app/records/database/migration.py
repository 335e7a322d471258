"""Schema migration: under the write lock, after a backup, in one transaction."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import structlog
from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import make_url

from app.records.database.database import Database, silence_named
from app.records.database.engines import PATIENT

log = structlog.get_logger()
REVISIONS = tuple(f"{number:04}" for number in range(1, 55))
HEAD = REVISIONS[-1]


class SchemaNewer(Exception):
    """The database was written by a newer Runyard."""


def migrate(database: Database, *, backups: Path, now: datetime) -> Path | None:
    """Upgrade to HEAD; return the path of the backup, or None (PostgreSQL is not backed up).

    Raises DatabaseSilent, and SchemaNewer if the database has a revision unknown to this program.
    """
    return migrate_to(database, HEAD, backups=backups, now=now)


def migrate_to(database: Database, target: str, *, backups: Path, now: datetime) -> Path | None:
    """Upgrade to a known revision; otherwise the same as `migrate`."""
    # one transaction, begun with the write lock, from the check to the last step: if several
    # servers start, one upgrades, the others wait and find it done
    patient = database.engine.execution_options(**{PATIENT: True})
    with silence_named(), patient.begin() as connection:
        revision = revision_of(connection)
        if revision == target:
            return None
        if revision is not None and revision not in REVISIONS:
            raise SchemaNewer(f"{_newer(revision)} Start the newer Runyard, or restore a backup.")
        backup = None
        if revision is not None and database.is_sqlite:
            backup = _back_up(database, backups, now)
        elif revision is not None:
            log.warning("schema_upgraded_without_backup", before=revision, after=HEAD)
        _upgrade(connection, target)
    return backup


def stop_where_newer(database: Database) -> None:
    """Stop writing to a database that a newer Runyard has upgraded while it was in use.

    Raises DatabaseSilent.
    """
    with database.reading() as session:
        revision = revision_of(session.connection())
    if revision is not None and revision not in (HEAD, *REVISIONS):
        database.trouble = (
            f"{_newer(revision)} This one writes nothing any more: stop it, and start the newer "
            "Runyard in its place."
        )


def _newer(revision: str) -> str:
    return f"This database has schema {revision}; this Runyard knows schemas up to {HEAD}."


def revision_of(connection: Connection) -> str | None:
    """Return the schema's revision, or None if there is none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return row[0] if row else None


def _back_up(database: Database, backups: Path, now: datetime) -> Path | None:
    file = make_url(database.url).database
    if not file:
        return None
    backups.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = backups / f"before-{HEAD}-{now:%Y%m%dT%H%M%SZ}.db"
    # a backup gets its final name only once it is complete
    part = target.with_suffix(".part")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
    part.chmod(0o600)
    return part.replace(target)


def _upgrade(connection: Connection, target: str) -> None:
    # imported here: a start on a current database must not pay for it
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, target)
