"""Where a deployment's new runs live: recorded in its control store, the same for every server."""

from __future__ import annotations

from collections.abc import Callable

from sqlmodel import Session, col, select

from app.records.database import Database, DatabaseSilent
from app.records.routing import Stores
from app.records.sentinel import CannotTell, Identity, identify, recognise, setting_of
from app.records.sqlite_files import file_of, is_empty_file
from app.records.tables import Setting

NEW_RUNS, RUN_STORE, OWNER = "new_runs", "run_store", "control_store"
ADDRESSES = {"control": "RUNYARD_DATABASE_URL", "run": "RUNYARD_RUNS_DATABASE_URL"}
WORDS = {"control": "in the control store", "runs": "in the run store"}


class NewRunsMoved(DatabaseSilent):
    """Another server has changed where new runs live: this one accepts none until it follows."""

    lasts = True

    def __init__(self, recorded: str, own: str) -> None:
        sentence = (
            f"Another server has set that new runs live {WORDS[recorded]}; this one is set to let "
            f"them live {WORDS[own]}, and accepts none. Restart it with the same "
            "RUNYARD_RUNS_DATABASE_URL and RUNYARD_RUNS_SPLIT."
        )
        super().__init__(sentence, sentence)


class StoresDiffer(Exception):
    """This server may not work on these databases; the message says what to do."""


def identify_control(stores: Stores) -> Identity:
    """Who the control store is, which is up to date. Raises StoresDiffer."""
    return _asked(identify, stores.control)


def refuse_stranger(stores: Stores, control: Identity) -> None:
    """Refuse a run store that is the control store, a copy of it, or another deployment's.

    No row of it is written: it may be of an older schema, and in use. Raises StoresDiffer.
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
    """True where its file is still to be made: that is nobody's."""
    file = file_of(database.url)
    return file is not None and is_empty_file(file)


def agree(stores: Stores, *, may_change: bool) -> None:
    """Compare this server's stores with what is recorded, and record what is new.

    `may_change` records this server's own setting of where new runs live. Raises StoresDiffer.
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
            # of two deployments that begin with one run store, one has it
            with stores.runs.transaction() as claim:
                _refuse_another_owner(claim, control.nonce)
                _write(claim, OWNER, control.nonce)
            stores.between("agree.between_stores")


def refuse_moved(session: Session, stores: Stores) -> None:
    """Refuse a new run where this server would put it elsewhere than the others do.

    `session` is one of the control store; one row is read. Raises NewRunsMoved.
    """
    recorded = session.scalar(select(Setting.value).where(col(Setting.name) == NEW_RUNS))
    if recorded not in (None, _own(stores)):
        raise NewRunsMoved(str(recorded), _own(stores))


def _own(stores: Stores) -> str:
    return "runs" if stores.are_split else "control"


def knows_run_store(stores: Stores) -> bool:
    """True where the control store, which is up to date, has a run store already."""
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
