"""Who a database is: asked of itself, never read from its address (stores.md, Sentinel)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from app.records.database import Database, DatabaseSilent, Transaction
from app.records.soundness import is_damage
from app.records.tables import Setting

NONCE = "nonce"


class CannotTell(Exception):
    """A database did not say who it is."""


@dataclass(frozen=True)
class Identity:
    """Where a database is, and the random name that it carries: a copy has the same one."""

    place: str
    nonce: str

    def is_same_as(self, other: Identity) -> bool:
        """True where both are one database, or one is a copy of the other."""
        return self.place == other.place or self.nonce == other.nonce != ""


def recognise(database: Database) -> Identity:
    """Ask a database of any schema who it is, and write nothing to it. Raises CannotTell.

    The name is empty where it carries none yet.
    """
    with _telling(database), database.reading() as session:
        return Identity(_place(database, session), setting_of(session, NONCE) or "")


def identify(database: Database) -> Identity:
    """Ask a database of today's schema who it is. Raises CannotTell."""
    with _telling(database):
        with database.transaction() as tx:
            nonce = nonce_of(tx)
        with database.reading() as session:
            return Identity(_place(database, session), nonce)


@contextmanager
def _telling(database: Database) -> Iterator[None]:
    try:
        yield
    except (DatabaseSilent, DBAPIError, OSError) as problem:
        if database.trouble or is_damage(problem):
            raise  # that is told as what it is, with what to do
        # also where it may not be looked at: who it is, is not known then
        raise CannotTell(str(problem).partition("\n")[0]) from problem


def setting_of(session: Session, name: str) -> str | None:
    """What a database of any schema has recorded under a name, None where it has not."""
    if not inspect(session.connection()).has_table("setting"):
        return None
    row = session.get(Setting, name)
    return row.value if row is not None else None


def nonce_of(tx: Transaction) -> str:
    """The random name that a database carries, given to it where it has none yet."""
    known = tx.get(Setting, NONCE)
    if known is None:
        known = Setting(name=NONCE, value=secrets.token_hex(16))
        tx.add(known)
    return known.value


def _place(database: Database, session: Session) -> str:
    return _file(database) if database.is_sqlite else _server(session)


def _file(database: Database) -> str:
    name = make_url(database.url).database
    if not name or name == ":memory:":
        raise CannotTell("a database in memory is in no place")
    found = Path(name).stat()
    return f"{found.st_dev}:{found.st_ino}"


def _server(session: Session) -> str:
    query = "SELECT system_identifier, current_database() FROM pg_control_system()"
    row = session.execute(text(query)).one()
    return f"{row[0]}:{row[1]}"
