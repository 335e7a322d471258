"""Engines: how SQLite and PostgreSQL are connected to, and what begins a transaction."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.pool import QueuePool

# what other machines may write to, or what has no memory to share: Linux's names for them
NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gfs2", "ocfs2"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.davfs", "virtiofs"),
    }
)
# what SQLite's side files need before anything can be read
SIDE_ROOM = 1024**2
MOUNTS = Path("/proc/self/mountinfo")


def network_of(file: Path) -> str:
    """The name of the network file system a file lies on; empty for a disk of this machine.

    Empty, too, where the system does not say what is mounted.
    """
    try:
        mounts = MOUNTS.read_text(errors="surrogateescape")
    except OSError:
        return ""
    return network_among(mounts, file.resolve())


def network_among(mounts: str, file: Path) -> str:
    """The same by a mountinfo as in proc(5): the nearest mount counts, the last of one place."""
    nearest, kind = 0, ""
    for line in mounts.splitlines():
        mount, _, system = line.partition(" - ")
        fields = mount.split(" ")
        if len(fields) < 5 or not system:
            continue
        place = Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4]))
        if file.is_relative_to(place) and len(place.parts) >= nearest:
            nearest, kind = len(place.parts), system.split(" ")[0]
    return kind if kind in NETWORK else ""


def is_cramped(file: Path) -> bool:
    """True where the disk has no room for the files that SQLite keeps beside a database."""
    with suppress(OSError):
        return shutil.disk_usage(file.parent).free < SIDE_ROOM
    return False


def cramped_uri(file: Path) -> str:
    """The address by which a database is read on a full disk: its index is kept in memory.

    Only one process can use it so.
    """
    return f"file:{quote(str(file))}?vfs=unix-excl"


# the one writer of a PostgreSQL database: "Runyard" as a number
WRITER_LOCK = 0x52756E79617264
# an engine with this option waits for the writer as long as it takes
PATIENT = "is_patient"
SWITCHES = 10
CONNECT_SECONDS = 5
# what a server that is gone without a word is found by, on this side of the network
KEEPALIVES = {"keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3"}


def postgresql_url(url: str) -> URL:
    """The address with the driver that is used; what it says of connections itself is kept."""
    parts = make_url(url).set(drivername="postgresql+psycopg")
    usual = {
        "connect_timeout": str(CONNECT_SECONDS),
        "fallback_application_name": "runyard",
        **KEEPALIVES,
    }
    missing = {name: value for name, value in usual.items() if name not in parts.query}
    return parts.update_query_dict(missing)


def postgresql_engine(url: str, *, size: int, may_write: bool, busy_seconds: float) -> Engine:
    """An engine whose writers take turns, and whose readers see one moment each, as SQLite's do.

    Whoever waits longer than `busy_seconds` for a lock is refused; a statement may take three
    times as long, and who does nothing for as long inside a transaction loses it.
    """
    from psycopg import IsolationLevel

    engine = create_engine(
        postgresql_url(url),
        pool_size=size,
        max_overflow=0,
        pool_timeout=busy_seconds,
        pool_pre_ping=True,
        json_serializer=_json_without_nul,
    )
    milliseconds = max(1, int(busy_seconds * 1000))
    limits = {
        "lock_timeout": milliseconds,
        "statement_timeout": 3 * milliseconds,
        "idle_in_transaction_session_timeout": 3 * milliseconds,
    }

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        connection.adapters.register_dumper(str, _dumper_without_nul())
        connection.autocommit = True
        connection.execute("SET timezone TO 'UTC'")
        for limit, longest in limits.items():
            connection.execute(f"SET {limit} TO {longest}")
        connection.autocommit = False
        if not may_write:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True

    if may_write:
        # READ COMMITTED lets two count first and insert then: here they take turns
        @event.listens_for(engine, "begin")
        def _take_turn(connection: Any) -> None:
            if connection.get_execution_options().get(PATIENT):
                connection.exec_driver_sql("SET LOCAL lock_timeout TO 0")
                connection.exec_driver_sql("SET LOCAL statement_timeout TO 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")

    return engine


def postgresql_wire(url: str) -> Engine:
    """An engine for two connections that speak at once: one that listens, one that tells."""
    return create_engine(
        postgresql_url(url),
        isolation_level="AUTOCOMMIT",
        pool_size=2,
        max_overflow=0,
        pool_pre_ping=True,
    )


def _dumper_without_nul() -> type:
    from psycopg.types.string import StrDumper

    class TextWithoutNul(StrDumper):
        """PostgreSQL's text holds no NUL: what an agent or a repository says is kept without."""

        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", "\ufffd"))

    return TextWithoutNul


def _json_without_nul(value: Any) -> str:
    text = json.dumps(value)
    return json.dumps(_clean(value)) if "\\u0000" in text else text


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {_clean(name): _clean(one) for name, one in value.items()}
    return [_clean(one) for one in value] if isinstance(value, list | tuple) else value


def sqlite_engine(
    url: str,
    *,
    size: int,
    begin: str,
    busy_seconds: float,
    is_cramped: Callable[[], bool] = lambda: False,
) -> Engine:
    """An engine of at most `size` connections whose transactions start with `begin`.

    On a file system of the network, and where SQLite refuses its write-ahead log, it keeps a
    rollback journal: slower, and sound. While `is_cramped` answers True, where the disk has no
    room for its side files, new connections keep their index in memory: everything can be read,
    and written again once there is room, but no other process can use the file.
    """
    file = make_url(url).database
    # what has been written ahead there by several machines is lost without a word
    journal = "DELETE" if file and network_of(Path(file)) else "WAL"
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=busy_seconds,
        connect_args={"check_same_thread": False, "timeout": busy_seconds},
    )

    if file:
        _keep_index_in_memory(engine, Path(file).absolute(), is_cramped)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: Any) -> None:
        # the driver must not begin by itself: `begin` below decides which lock is taken
        connection.isolation_level = None
        _keep_journal(connection, journal)
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "checkin", _end)
    return engine


def _end(connection: sqlite3.Connection | None, _: Any) -> None:
    # a commit that was refused leaves its transaction open, and nobody else ends it
    if connection is not None and connection.in_transaction:
        connection.rollback()


def _keep_index_in_memory(engine: Engine, file: Path, is_cramped: Callable[[], bool]) -> None:
    @event.listens_for(engine, "do_connect")
    def _connect(_: Any, __: Any, cargs: list[Any], cparams: dict[str, Any]) -> None:
        if is_cramped():
            cargs[0] = cramped_uri(file)
            cparams["uri"] = True


def _keep_journal(connection: sqlite3.Connection, journal: str) -> None:
    # of several that switch a new file at once SQLite refuses some without waiting: those
    # wait for the write lock, and then find it done
    for _ in range(SWITCHES):
        try:
            connection.execute(f"PRAGMA journal_mode={journal}")
        except sqlite3.OperationalError:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        else:
            return
    connection.execute(f"PRAGMA journal_mode={journal}")
