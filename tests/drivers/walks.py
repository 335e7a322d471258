"""The walk of one action through the program: the files of ours it enters, and its sessions."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlmodel import Session

import app
from app.records.database.database import Transaction
from app.records.database.engines import GLANCE
from app.records.people.reach import begin_to_limit, limit

OURS = f"{Path(app.__file__).parent}/"


@dataclass
class Walk:
    """What was entered since the last `restart`: functions by file, and sessions that asked.

    `calls` counts by the file's path below `app/`; imports are left out. `read_sessions` and
    `transactions` count those that began on a database, one for each store that they asked;
    `glances` counts the statements that read outside of both.
    """

    calls: Counter[str] = field(default_factory=Counter[str])
    read_sessions: int = 0
    transactions: int = 0
    glances: int = 0
    is_over: bool = False

    @property
    def files(self) -> list[str]:
        """The files of ours that were entered, by path below `app/`."""
        return sorted(self.calls)

    def restart(self) -> None:
        """Forget what was entered so far."""
        self.calls = Counter()
        self.read_sessions = self.transactions = self.glances = 0

    def on_call(self, frame: FrameType, kind: str, _: Any) -> None:
        """Note one call; a thread that outlives the walk is no longer followed."""
        if self.is_over:
            sys.setprofile(None)
            return
        code = frame.f_code
        is_ours = code.co_filename.startswith(OURS) and code.co_name != "<module>"
        if kind == "call" and is_ours:
            self.calls[code.co_filename.removeprefix(OURS)] += 1

    def on_begin(self, session: Session, *_: object) -> None:
        """Note a session's first statement on a database."""
        if isinstance(session, Transaction):
            self.transactions += 1
        else:
            self.read_sessions += 1

    def on_connection(self, connection: Connection) -> None:
        """Note a connection that reads by one statement."""
        self.glances += bool(connection.get_execution_options().get(GLANCE))


@contextmanager
def walk() -> Iterator[Walk]:
    """Follow this thread and every thread that is started inside; earlier ones are not seen.

    Build the plane inside, then call `restart` right before the action, and let its threads rest
    before reading the figures.
    """
    seen = Walk()
    _be_of_one_organisation()
    event.listen(Session, "after_begin", seen.on_begin)
    event.listen(Engine, "begin", seen.on_connection)
    threading.setprofile(seen.on_call)
    sys.setprofile(seen.on_call)
    try:
        yield seen
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # pyright: ignore[reportArgumentType]
        seen.is_over = True
        event.remove(Session, "after_begin", seen.on_begin)
        event.remove(Engine, "begin", seen.on_connection)


def _be_of_one_organisation() -> None:
    # earlier tests of this process may have had several; the next request of such begins anew
    if event.contains(Session, "do_orm_execute", limit):
        event.remove(Session, "do_orm_execute", limit)
        begin_to_limit.cache_clear()
