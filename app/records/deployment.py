"""Where a deployment's new runs live: recorded in its control store, the same for every server."""

from __future__ import annotations

from sqlmodel import Session

from app.records.database import Database
from app.records.routing import Stores
from app.records.sentinel import CannotTell, Identity, identify, nonce_of
from app.records.tables import Setting

NEW_RUNS, RUN_STORE, OWNER = "new_runs", "run_store", "control_store"
WORDS = {"control": "in the control store", "runs": "in the run store"}


class StoresDiffer(Exception):
    """This server may not work on these databases; the message says what to do."""


def agree(stores: Stores, *, may_change: bool) -> None:
    """Compare this server's stores with what is recorded, and record what is new.

    `may_change` records this server's own setting of where new runs live. Raises StoresDiffer.
    """
    runs = _identify_apart(stores) if stores.runs is not None else None
    own = "runs" if stores.are_split else "control"
    with stores.control.transaction() as tx:
        own_nonce = nonce_of(tx)  # there before a copy can be made
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
        if runs is not None:
            _write(tx, RUN_STORE, runs.nonce)
    # only now: a database that was named by mistake is not claimed
    if stores.runs is not None:
        stores.between("agree.between_stores")
        with stores.runs.transaction() as tx:
            _write(tx, OWNER, own_nonce)


def knows_run_store(stores: Stores) -> bool:
    """True where the control store, which is up to date, has a run store already."""
    with stores.control.reading() as session:
        return _read(session, RUN_STORE) is not None


def _identify_apart(stores: Stores) -> Identity:
    """Who the run store is. Raises StoresDiffer where that is nobody, or the control store."""
    control, runs = _asked(stores.control, "control"), _asked(stores.runs, "run")
    if control.is_same_as(runs):
        raise StoresDiffer(
            "RUNYARD_RUNS_DATABASE_URL names the control store itself, or a copy of it: name an "
            "empty database of its own."
        )
    if stores.runs is not None:
        with stores.runs.reading() as session:
            if _read(session, OWNER) not in (None, control.nonce):
                raise StoresDiffer(
                    "RUNYARD_RUNS_DATABASE_URL names the run store of another deployment: name "
                    "an empty database of its own."
                )
    return runs


def _asked(database: Database | None, which: str) -> Identity:
    if database is None:
        raise StoresDiffer("there is no run store")
    try:
        return identify(database)
    except CannotTell as problem:
        raise StoresDiffer(
            f"the {which} store did not say who it is, so that it cannot be told from the other: "
            f"{problem}"
        ) from problem


def _read(session: Session, name: str) -> str | None:
    row = session.get(Setting, name)
    return row.value if row is not None else None


def _write(session: Session, name: str, value: str) -> None:
    if _read(session, name) != value:
        session.merge(Setting(name=name, value=value))
