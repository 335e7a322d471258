"""Encoding of changes as PostgreSQL notifications between servers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import get_args

import structlog
from sqlalchemy import Connection, text

from app.records.feed import (
    BatchSealed,
    Change,
    FeedBroke,
    FindingsChanged,
    ObstacleRemoved,
    RunAccepted,
    StartMoved,
    StoresChanged,
)

log = structlog.get_logger()
CHANNEL = "runyard"
# PostgreSQL refuses payloads of 8000 bytes and more
MESSAGE_BYTES = 7000
# changes that concern one server only are not sent
_OWN = (
    *(FeedBroke, FindingsChanged, StoresChanged),
    *(RunAccepted, StartMoved, BatchSealed, ObstacleRemoved),
)
_KINDS = {kind.__name__: kind for kind in get_args(Change) if kind not in _OWN}


def written(changes: Iterable[Change], by: str) -> Iterator[str]:
    """Encode changes as messages: ids only, each short enough for PostgreSQL."""
    lines: list[str] = []
    size = 0
    for change in changes:
        if type(change).__name__ not in _KINDS:
            continue
        # rows are left out: another server reads its own
        values = [getattr(change, one.name) for one in fields(change) if one.compare]
        line = json.dumps([type(change).__name__, *values], separators=(",", ":"))
        if lines and size + len(line) > MESSAGE_BYTES:
            yield _message(lines, by)
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield _message(lines, by)


def notify_others(connection: Connection, changes: Iterable[Change], by: str) -> None:
    """Send changes to the other servers; inside a transaction they arrive with its commit."""
    for message in written(changes, by):
        told = {"channel": CHANNEL, "message": message}
        connection.execute(text("SELECT pg_notify(:channel, :message)"), told)


def commit_with(connection: Connection, messages: Iterable[str]) -> None:
    """Send messages to the other servers and commit, all in one message to PostgreSQL."""
    from psycopg import sql

    steps = [sql.SQL("SELECT pg_notify({}, {})").format(CHANNEL, one) for one in messages]
    wire = connection.connection.driver_connection
    command = sql.SQL("; ").join([*steps, sql.SQL("COMMIT")]).as_string(wire)
    connection.exec_driver_sql(command, execution_options={"no_parameters": True})


def read(message: str, *, own: str) -> list[Change]:
    """Decode another server's message; change types that only a newer version knows are skipped."""
    try:
        content = json.loads(message)
        if content["by"] == own:
            return []
        known = [line for line in content["told"] if line[0] in _KINDS]
        return [_KINDS[name](*values) for name, *values in known]
    except (ValueError, TypeError, KeyError, IndexError):
        log.warning("foreign_message_ignored")
        return []


def _message(lines: list[str], by: str) -> str:
    return f'{{"by":{json.dumps(by)},"told":[{",".join(lines)}]}}'
