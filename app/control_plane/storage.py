"""The databases of a server: opened, brought up to date, and asked whether they belong together."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from app.config import Settings
from app.failpoints import reach
from app.foothold import CannotStart
from app.records.database import Database
from app.records.deployment import (
    StoresDiffer,
    agree,
    identify_control,
    knows_run_store,
    refuse_stranger,
)
from app.records.feed import Feed
from app.records.migration import migrate
from app.records.project_ledger import ProjectLedger
from app.records.relay import Relay
from app.records.routing import Stores
from app.records.run_ledger import RunLedger
from app.records.soundness import (
    damage_told,
    refuse_incomplete,
    refuse_unsound,
    remember_made,
)
from app.records.tracker_ledger import TrackerLedger
from app.records.write_guard import WriteGuard
from app.services.floor import Ledgers

RUNS_BACKUPS = "runs"


def open_stores(settings: Settings, feed: Feed) -> Stores:
    """The control store, and the run store where the settings name one. Raises CannotStart."""
    control = Database(settings.database, tell=feed.publish)
    if settings.runs_database_url is None:
        return Stores(control, None, secrets.token_bytes)
    runs = Database(settings.runs_database_url, tell=feed.publish)
    if runs.is_sqlite and not control.is_sqlite:
        raise CannotStart(
            "the run store is a file and the control store PostgreSQL, which other servers may "
            "use: the pages of one would not hear what another writes into a file. Name a "
            "PostgreSQL database in RUNYARD_RUNS_DATABASE_URL."
        )
    return Stores(control, runs, secrets.token_bytes, settings.runs_split, between=reach)


def make_ledgers(stores: Stores, feed: Feed) -> Ledgers:
    """What is true, in these databases."""
    ledgers = Ledgers(RunLedger(stores), ProjectLedger(stores), TrackerLedger(stores))
    # before whoever shows something hears: what it asks for then is the new name
    feed.subscribe(ledgers.projects.names.hear)
    return ledgers


def make_relays(stores: Stores, feed: Feed) -> list[Relay]:
    """What tells other servers of changes and hears theirs, one for each PostgreSQL."""
    if stores.control.is_sqlite:
        return []
    return [Relay(database, feed, tells=database is stores.control) for database in stores.all()]


def settle_stores(stores: Stores, settings: Settings, now: datetime) -> None:
    """Bring both stores to today's schema, refuse those that do not belong together, and guard.

    Raises SchemaNewer, DatabaseDamaged, CannotStart, DatabaseSilent.
    """
    data, runs_root = settings.data_root, settings.runs_root
    backups = data / "backups"
    with damage_told(stores.control, data):
        refuse_unsound(stores.control, data, runs_root)
        _bring_up_to_date(stores.control, data, backups, now)
        is_recorded = knows_run_store(stores)
        with _differences_told():
            control = identify_control(stores)
    if stores.runs is not None:
        with damage_told(stores.runs, data):
            refuse_unsound(stores.runs, data, None, is_recorded=is_recorded)
            with _differences_told():
                refuse_stranger(stores, control)
            _bring_up_to_date(stores.runs, data, backups / RUNS_BACKUPS, now)
    for database in stores.all():
        WriteGuard(database, data, stores.stopped)
    with _differences_told():
        agree(stores, may_change=settings.change_stores)


@contextmanager
def _differences_told() -> Iterator[None]:
    try:
        yield
    except StoresDiffer as difference:
        raise CannotStart(str(difference)) from difference


def _bring_up_to_date(database: Database, data: Path, backups: Path, now: datetime) -> None:
    migrate(database, backups=backups, now=now)
    refuse_incomplete(database, data)
    remember_made(database, data)
