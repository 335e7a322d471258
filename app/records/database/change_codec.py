"""Messages: changes as several servers on one PostgreSQL tell them to each other."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from typing import get_args

from sqlalchemy import Connection, text

from app.records.feed import Change, FeedBroke, FindingsChanged, StoresChanged

log = logging.getLogger(__name__)
CHANNEL = "runyard"
# PostgreSQL refuses one of 8000
MESSAGE_BYTES = 7000
# those that are about one server alone stay there
_OWN = (FeedBroke, FindingsChanged, StoresChanged)
_KINDS = {kind.__name__: kind for kind in get_args(Change) if kind not in _OWN}


def written(changes: Iterable[Change], by: str) -> Iterator[str]:
    """Messages that tell these changes: ids only, each short enough for PostgreSQL."""
    lines: list[str] = []
    size = 0
    for change in changes:
        if type(change).__name__ not in _KINDS:
            continue
        line = json.dumps([type(change).__name__, *astuple(change)], separators=(",", ":"))
        if lines and size + len(line) > MESSAGE_BYTES:
            yield _message(lines, by)
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield _message(lines, by)


def tell_others(connection: Connection, changes: Iterable[Change], by: str) -> None:
    """Send these changes to whoever listens, with the commit where one follows."""
    for message in written(changes, by):
        told = {"channel": CHANNEL, "message": message}
        connection.execute(text("SELECT pg_notify(:channel, :message)"), told)


def read(message: str, *, own: str) -> list[Change]:
    """The changes of another server's message; what a newer one alone knows is left out."""
    try:
        content = json.loads(message)
        if content["by"] == own:
            return []
        known = [line for line in content["told"] if line[0] in _KINDS]
        return [_KINDS[name](*values) for name, *values in known]
    except (ValueError, TypeError, KeyError, IndexError):
        log.warning("a message on the database's channel is none of ours")
        return []


def _message(lines: list[str], by: str) -> str:
    return f'{{"by":{json.dumps(by)},"told":[{",".join(lines)}]}}'
