"""SQLite without waiting for the disk, for tests that kill processes but cut no power."""

from __future__ import annotations

from functools import cache

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool

SPARED = "spares_the_disk"


@cache
def spare_the_disk() -> None:
    """Let SQLite's writers of this process commit without waiting for the disk.

    Like the tests' PostgreSQL: a killed process loses nothing, only a power failure would. Readers
    keep what the product sets: tests/records/database/test_database.py looks there.
    """

    @event.listens_for(Engine, "engine_connect")
    def spare(connection: Connection) -> None:
        pool = connection.engine.pool
        is_writer = isinstance(pool, QueuePool) and pool.size() == 1
        if is_writer and connection.dialect.name == "sqlite" and SPARED not in connection.info:
            connection.info[SPARED] = True
            # not through SQLAlchemy: that would begin a transaction
            connection.connection.cursor().execute("PRAGMA synchronous=OFF")
