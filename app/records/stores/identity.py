"""Identity of the stores, and the recorded setting of where new runs live, one for all servers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select

from app.records.database.database import Database, DatabaseSilent, Transaction
from app.records.database.integrity import is_damage
from app.records.database.sqlite_files import file_of, is_empty_file
from app.records.stores.routing import Stores
from app.records.tables import Setting

NONCE = "nonce"


class CannotTell(Exception):
    """A database could not be identified."""


@dataclass(frozen=True)
class Identity:
    """The location of a database and the random name stored in it; a copy has the same name."""

    place: str
    nonce: str

    def is_same_as(self, other: Identity) -> bool:
        """Return True if both are one database, or one is a copy of the other."""
        return self.place == other.place or self.nonce == other.nonce != ""


def recognise(database: Database) -> Identity:
    """Identify a database of any schema without writing to it. Raises CannotTell.

    The nonce is empty if the database has none yet.
    """
    with _explained(database), database.reading() as session:
        return Identity(_place(database, session), setting_of(session, NONCE) or "")


def identify(database: Database) -> Identity:
    """Identify a database of the current schema; give it a nonce if it lacks one.

    Raises CannotTell.
    """
    with _explained(database):
        with database.transaction() as tx:
            nonce = nonce_of(tx)
        with database.reading() as session:
            return Identity(_place(database, session), nonce)


@contextmanager
def _explained(database: Database) -> Generator[None]:
    try:
        yield
    except (DatabaseSilent, DBAPIError, OSError) as problem:
        if database.trouble or is_damage(problem):
            raise  # a stopped or damaged database has its own message, with advice
        # also if reading it is not permitted: it cannot be identified then either
        raise CannotTell(str(problem).partition("\n")[0]) from problem


def setting_of(session: Session, name: str) -> str | None:
    """Return a recorded setting from a database of any schema, or None if it is not set."""
    if not inspect(session.connection()).has_table("setting"):
        return None
    row = session.get(Setting, name)
    return row.value if row is not None else None


def nonce_of(tx: Transaction) -> str:
    """Return the database's random name; create it if there is none yet."""
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
    row = session.connection().execute(text(query)).one()
    return f"{row[0]}:{row[1]}"


NEW_RUNS, RUN_STORE, OWNER = "new_runs", "run_store", "control_store"
ADDRESSES = {"control": "RUNYARD_DATABASE_URL", "run": "RUNYARD_RUNS_DATABASE_URL"}
WORDS = {"control": "in the control store", "runs": "in the run store"}


class NewRunsMoved(DatabaseSilent):
    """Another server changed where new runs live; this one accepts none until it agrees."""

    lasts = True

    def __init__(self, recorded: str, own: str) -> None:
        sentence = (
            f"Another server has set that new runs live {WORDS[recorded]}; this one is set to let "
            f"them live {WORDS[own]}, and accepts none. Restart it with the same "
            "RUNYARD_RUNS_DATABASE_URL and RUNYARD_RUNS_SPLIT."
        )
        super().__init__(sentence, sentence)


class StoresDiffer(Exception):
    """This server may not use these databases; the message says what to do."""


def identify_control(stores: Stores) -> Identity:
    """Identify the control store, whose schema must be current. Raises StoresDiffer."""
    return _asked(identify, stores.control)


def refuse_stranger(stores: Stores, control: Identity) -> None:
    """Refuse a run store that is the control store, a copy of it, or another deployment's.

    Writes nothing to the run store: it may have an older schema, and be in use. Raises
    StoresDiffer.
    """
    if stores.runs is None or _is_new(stores.runs):
        return
    runs = _asked(recognise, stores.runs, "run")
    if control.is_same_as(runs):
        raise StoresDiffer(
            "RUNYARD_RUNS_DATABASE_URL names the control store itself, or a copy of it: name an "
            "empty database of its own."
        )
    with stores.runs.reading() as session:
        _refuse_another_owner(session, control.nonce)


def _is_new(database: Database) -> bool:
    """Return True if the database's file is missing or empty: it has no owner then."""
    file = file_of(database.url)
    return file is not None and is_empty_file(file)


def agree(stores: Stores, *, may_change: bool) -> None:
    """Compare this server's stores with the recorded ones, and record what is new.

    `may_change` allows overwriting the recorded place of new runs with this server's setting.
    Raises StoresDiffer.
    """
    control = identify_control(stores)
    runs = _asked(identify, stores.runs, "run") if stores.runs is not None else None
    own = _own(stores)
    with stores.control.transaction() as tx:
        known = _read(tx, RUN_STORE)
        if known is not None and runs is None:
            raise StoresDiffer(
                "this deployment has runs in a run store: set RUNYARD_RUNS_DATABASE_URL. With "
                "RUNYARD_RUNS_SPLIT=off new runs live in the control store again."
            )
        if known is not None and runs is not None and known != runs.nonce:
            raise StoresDiffer(
                "RUNYARD_RUNS_DATABASE_URL names another run store than the one that has this "
                "deployment's runs: set it to that one."
            )
        recorded = _read(tx, NEW_RUNS)
        if recorded not in (None, own) and not may_change:
            raise StoresDiffer(
                f"this deployment's new runs live {WORDS[str(recorded)]}, and this server is set "
                f"to let them live {WORDS[own]}. One setting holds for every server: stop them "
                "all, then start this one once with RUNYARD_CHANGE_STORES=1."
            )
        _write(tx, NEW_RUNS, own)
        if stores.runs is not None and runs is not None:
            _write(tx, RUN_STORE, runs.nonce)
            # if two deployments start with the same run store, only the first gets it
            with stores.runs.transaction() as claim:
                _refuse_another_owner(claim, control.nonce)
                _write(claim, OWNER, control.nonce)
            stores.between("agree.between_stores")


def refuse_moved(session: Session, stores: Stores) -> None:
    """Refuse a new run if this server would put it in another store than the other servers do.

    `session` must be one of the control store; reads one row. Raises NewRunsMoved.
    """
    recorded = session.scalar(select(Setting.value).where(col(Setting.name) == NEW_RUNS))
    refuse_place(recorded, stores)


def refuse_place(recorded: str | None, stores: Stores) -> None:
    """Refuse a new run unless the recorded place of new runs is this server's. Raises as above."""
    if recorded not in (None, _own(stores)):
        raise NewRunsMoved(str(recorded), _own(stores))


def _own(stores: Stores) -> str:
    return "runs" if stores.are_split else "control"


def knows_run_store(stores: Stores) -> bool:
    """Return True if the control store, whose schema must be current, has recorded a run store."""
    with stores.control.reading() as session:
        return _read(session, RUN_STORE) is not None


def _refuse_another_owner(session: Session, own_nonce: str) -> None:
    if setting_of(session, OWNER) not in (None, own_nonce):
        raise StoresDiffer(
            "RUNYARD_RUNS_DATABASE_URL names the run store of another deployment: name an empty "
            "database of its own."
        )


def _asked(
    ask: Callable[[Database], Identity], database: Database, which: str = "control"
) -> Identity:
    try:
        return ask(database)
    except CannotTell as problem:
        raise StoresDiffer(
            f"the {which} store ({ADDRESSES[which]}) did not say who it is, so that it cannot be "
            f"told from the other: {problem}"
        ) from problem


def _read(session: Session, name: str) -> str | None:
    row = session.get(Setting, name)
    return row.value if row is not None else None


def _write(session: Session, name: str, value: str) -> None:
    if _read(session, name) != value:
        session.merge(Setting(name=name, value=value))
