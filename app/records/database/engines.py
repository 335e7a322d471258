"""SQLAlchemy engines for SQLite and PostgreSQL: connection settings, locks and journal modes."""

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

from pydantic import TypeAdapter
from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from app.domain.json.values import JsonValue

# Linux's names of file systems that several machines may write to, or without shared memory
NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gfs2", "ocfs2"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.davfs", "virtiofs"),
    }
)
# bytes that SQLite's side files need before anything can be read
SIDE_ROOM = 1024**2
MOUNTS = Path("/proc/self/mountinfo")


def network_of(file: Path) -> str:
    """Return the name of the network file system that holds a file; empty for a local disk.

    Also empty if the system does not list its mounts.
    """
    try:
        mounts = MOUNTS.read_text(errors="surrogateescape")
    except OSError:
        return ""
    return network_among(mounts, file.resolve())


def network_among(mounts: str, file: Path) -> str:
    """Return the same from a mountinfo text as in proc(5): the deepest, latest mount counts."""
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
    """Return True if the disk is too full for the files that SQLite keeps beside a database."""
    with suppress(OSError):
        return shutil.disk_usage(file.parent).free < SIDE_ROOM
    return False


def cramped_uri(file: Path) -> str:
    """Return a URI to open a database on a full disk: SQLite's shared memory stays in the process.

    Only one process can use the file this way.
    """
    return f"file:{quote(str(file))}?vfs=unix-excl"


# advisory lock of the one writer of a PostgreSQL database: "Runyard" as a number
WRITER_LOCK = 0x52756E79617264
# an engine with this option waits for the write lock without limit
PATIENT = "is_patient"
# connections with this option read by one statement each, which needs no transaction around it
GLANCE = "is_glance"
SWITCHES = 10
CONNECT_SECONDS = 5
_JSON = TypeAdapter[Any](Any)
# detects, from this side, a server that vanished without closing the connection
KEEPALIVES = {"keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3"}


def postgresql_url(url: str) -> URL:
    """Return the URL with the driver and default connection options; its own options are kept."""
    parts = make_url(url).set(drivername="postgresql+psycopg")
    usual = {
        "connect_timeout": str(CONNECT_SECONDS),
        "fallback_application_name": "runyard",
        **KEEPALIVES,
    }
    missing = {name: value for name, value in usual.items() if name not in parts.query}
    return parts.update_query_dict(missing)


def postgresql_engine(url: str, *, size: int, may_write: bool, busy_seconds: float) -> Engine:
    """Return an engine with serialized writers and snapshot readers, the same as SQLite's.

    A wait of more than `busy_seconds` for a lock fails; a statement, and idling inside a
    transaction, may take three times as long. A pooled connection is not probed before its use:
    one that has died since is replaced when it is asked to begin.
    """
    engine = create_engine(
        postgresql_url(url),
        pool_size=size,
        max_overflow=0,
        pool_timeout=busy_seconds,
        json_serializer=_json_without_nul,
        json_deserializer=_read_json,
    )
    limits = {
        "lock_timeout": (milliseconds := max(1, int(busy_seconds * 1000))),
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

    # under READ COMMITTED two writers could both count, then both insert: so they take turns
    event.listen(engine, "begin", _take_turn if may_write else _begin_to_read)
    return engine


def _begin_to_read(connection: Connection) -> None:
    if not connection.get_execution_options().get(GLANCE):
        _begin_with(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _take_turn(connection: Connection) -> None:
    # all in one message: each statement would wait for its own answer
    steps = ["BEGIN"]
    if connection.get_execution_options().get(PATIENT):
        steps += ["SET LOCAL lock_timeout TO 0", "SET LOCAL statement_timeout TO 0"]
    steps.append(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
    _begin_with(connection, "; ".join(steps))


def _begin_with(connection: Connection, command: str) -> None:
    """Begin a transaction; if the pooled connection has died, begin on a new one."""
    try:
        connection.exec_driver_sql(command)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        # nothing had begun, so nothing is done twice
        connection.exec_driver_sql(command)


def postgresql_wire(url: str) -> Engine:
    """Return an engine with two autocommit connections, for LISTEN and for NOTIFY."""
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
        """Replaces NUL in text from agents and repositories: PostgreSQL cannot store it."""

        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", "\ufffd"))

    return TextWithoutNul


def _read_json(text: str) -> JsonValue:
    # many times faster than the standard library, which reads what pydantic refuses: halves of
    # surrogate pairs, from agents' output
    try:
        return _JSON.validate_json(text)
    except ValueError:
        return json.loads(text)


def _json_without_nul(value: Any) -> str:
    text = json.dumps(value)
    return json.dumps(_clean(json.loads(text))) if "\\u0000" in text else text


def _clean(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {name.replace("\0", "\ufffd"): _clean(one) for name, one in value.items()}
    return [_clean(one) for one in value] if isinstance(value, list) else value


def sqlite_engine(
    url: str,
    *,
    size: int,
    begin: str,
    busy_seconds: float,
    is_cramped: Callable[[], bool] = lambda: False,
) -> Engine:
    """Return an engine of at most `size` connections whose transactions start with `begin`.

    Uses a rollback journal, which is slower but safe, on network file systems and if SQLite refuses
    WAL. While `is_cramped` returns True (no room for side files), new connections keep the WAL
    index in memory: reads work, and writes again once there is room, but no other process can use
    the file.
    """
    file = make_url(url).database
    # WAL on a file system shared by machines silently loses writes
    journal = "DELETE" if file and network_of(Path(file)) else "WAL"
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=busy_seconds,
        json_deserializer=_read_json,
        connect_args={"check_same_thread": False, "timeout": busy_seconds},
    )
    if file:
        _keep_index_in_memory(engine, Path(file).absolute(), is_cramped)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: Any) -> None:
        # the driver must not begin transactions: `begin` below decides which lock is taken
        connection.isolation_level = None
        _keep_journal(connection, journal)
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        if not connection.get_execution_options().get(GLANCE):
            connection.exec_driver_sql(begin)

    event.listen(engine, "checkin", _end)
    return engine


def _end(connection: sqlite3.Connection | None, _: Any) -> None:
    # a failed commit leaves its transaction open, and nothing else ends it
    if connection is not None and connection.in_transaction:
        connection.rollback()


def _keep_index_in_memory(engine: Engine, file: Path, is_cramped: Callable[[], bool]) -> None:
    @event.listens_for(engine, "do_connect")
    def _connect(_: Any, __: Any, cargs: list[Any], cparams: dict[str, Any]) -> None:
        if is_cramped():
            cargs[0] = cramped_uri(file)
            cparams["uri"] = True


def _keep_journal(connection: sqlite3.Connection, journal: str) -> None:
    # SQLite refuses concurrent switches of a new file without waiting: wait for the write lock,
    # then try again and find it done
    for _ in range(SWITCHES):
        try:
            connection.execute(f"PRAGMA journal_mode={journal}")
        except sqlite3.OperationalError:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        else:
            return
    connection.execute(f"PRAGMA journal_mode={journal}")
