"""The databases of a server: opened, migrated, checked to belong together, backed up."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from app import __version__
from app.adapters.git.bundles import MirrorBundles
from app.adapters.git.command import Git, read_identity
from app.backup import backup, restore
from app.backup.places import DATABASE, RUN_STORE, Places
from app.config import Settings, load_settings
from app.control_plane.adapters import wall_clock
from app.failpoints import failpoint
from app.records.database.database import Database
from app.records.database.integrity import (
    damage_explained,
    refuse_incomplete,
    refuse_unsound,
    remember_made,
)
from app.records.database.migration import migrate
from app.records.database.sqlite_files import file_of
from app.records.database.write_guard import WriteGuard
from app.records.feed import Feed
from app.records.people.account_ledger import AccountLedger
from app.records.projects.forge_ledger import ForgeLedger
from app.records.projects.project_ledger import ProjectLedger
from app.records.projects.tracker_ledger import TrackerLedger
from app.records.runs.run_ledger import RunLedger
from app.records.stores.identity import (
    StoresDiffer,
    agree,
    identify_control,
    knows_run_store,
    refuse_stranger,
)
from app.records.stores.pg_notify import PgNotifyRelay
from app.records.stores.routing import Stores
from app.server.startup import CannotStart, only_server, prepare_folders
from app.services.context import Ledgers

RUNS_BACKUPS = "runs"


def open_stores(settings: Settings, feed: Feed) -> Stores:
    """Open the control store, and the run store if the settings name one. Raises CannotStart."""
    control = Database(settings.database, publish=feed.publish)
    if settings.runs_database_url is None:
        return Stores(control, None, secrets.token_bytes)
    runs = Database(settings.runs_database_url, publish=feed.publish)
    if runs.is_sqlite and not control.is_sqlite:
        raise CannotStart(
            "the run store is a file and the control store PostgreSQL, which other servers may "
            "use: the pages of one would not show what another server writes into a file. Name "
            "a PostgreSQL database in RUNYARD_RUNS_DATABASE_URL."
        )
    return Stores(control, runs, secrets.token_bytes, settings.runs_split, between=failpoint)


def can_anybody_sign_in(settings: Settings) -> bool:
    """Return True if a person in the database could sign in without this machine's token.

    Changes nothing: a database that does not exist yet is not made. Raises DatabaseSilent.
    """
    if settings.oidc_issuer is not None:
        return True
    file = file_of(settings.database)
    if file is not None and not file.exists():
        return False
    database = Database(settings.database, publish=lambda _: None)
    try:
        return AccountLedger(Stores(database, None, secrets.token_bytes)).has_password_holder()
    finally:
        database.close()


def make_ledgers(stores: Stores, feed: Feed) -> Ledgers:
    """Build the ledgers over these databases."""
    ledgers = Ledgers(
        RunLedger(stores), ProjectLedger(stores), TrackerLedger(stores), ForgeLedger(stores)
    )
    # Subscribe first: later subscribers look up project names and must see the new one.
    feed.subscribe(ledgers.projects.names.on_change)
    return ledgers


def make_relays(stores: Stores, feed: Feed) -> list[PgNotifyRelay]:
    """Build the relays that exchange changes with other servers, one for each PostgreSQL."""
    if stores.control.is_sqlite:
        return []
    return [
        PgNotifyRelay(database, feed, sends=database is stores.control) for database in stores.all()
    ]


def settle_stores(stores: Stores, settings: Settings, now: datetime) -> None:
    """Migrate both stores, refuse those that do not belong together, and guard their writes.

    Raises SchemaNewer, DatabaseDamaged, CannotStart, DatabaseSilent.
    """
    data, runs_root = settings.data_root, settings.runs_root
    backups = data / "backups"
    with damage_explained(stores.control, data):
        refuse_unsound(stores.control, data, runs_root)
        _bring_up_to_date(stores.control, data, backups, now)
        is_recorded = knows_run_store(stores)
        with _differences_explained():
            control = identify_control(stores)
    if stores.runs is not None:
        with damage_explained(stores.runs, data):
            refuse_unsound(stores.runs, data, None, is_recorded=is_recorded)
            with _differences_explained():
                refuse_stranger(stores, control)
            _bring_up_to_date(stores.runs, data, backups / RUNS_BACKUPS, now)
    for database in stores.all():
        WriteGuard(database, data, stores.stopped)
    with _differences_explained():
        agree(stores, may_change=settings.change_stores)


@contextmanager
def _differences_explained() -> Generator[None]:
    try:
        yield
    except StoresDiffer as difference:
        raise CannotStart(str(difference)) from difference


def _bring_up_to_date(database: Database, data: Path, backups: Path, now: datetime) -> None:
    migrate(database, backups=backups, now=now)
    refuse_incomplete(database, data)
    remember_made(database, data)


def back_up(settings: Settings, target: Path | None) -> backup.Made:
    """Write a backup of a data folder, with or without a server running on it."""
    bundles = _bundles_at(settings.runs_root / "mirrors")
    places = places_of(settings)
    return backup.back_up(places, bundles, target, program=__version__, now=wall_clock())


def put_back(settings: Settings, file: Path, *, trusts_settings: bool = False) -> restore.Restored:
    """Restore a backup into a data folder; refused while a server runs on it."""
    prepare_folders(settings)
    with only_server(settings):
        return restore_into(settings, file, trusts_settings=trusts_settings)


def restore_into(
    settings: Settings, file: Path, *, trusts_settings: bool = False
) -> restore.Restored:
    """Restore a backup into a data folder whose lock the caller holds."""
    return restore.restore(
        file.expanduser().absolute(),
        settings.data_root,
        lambda folder: _places_with(settings, folder),
        _bundles_at,
        wall_clock(),
        trusts_settings=trusts_settings,
    )


def places_of(settings: Settings) -> Places:
    """Return where this server's parts are."""
    stores = {DATABASE: settings.database}
    if settings.runs_database_url is not None:
        stores[RUN_STORE] = settings.runs_database_url
    return Places(settings.data_root, settings.runs_root, stores)


def _places_with(settings: Settings, folder: Path) -> Places:
    """Return the places of this data folder under the settings in another folder."""
    data = settings.data_root
    other = load_settings(data_dir=folder)
    own = other.model_copy(update={"data_dir": data})
    return replace(places_of(own), data=data)


def _bundles_at(mirrors: Path) -> MirrorBundles:
    return MirrorBundles(mirrors, git=Git(read_identity()))
