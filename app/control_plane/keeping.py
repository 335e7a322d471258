"""Backup and restore, put together: the places of this server's settings and git's bundles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from app import __version__
from app.adapters.git import Git, read_identity
from app.adapters.mirror_bundles import MirrorBundles
from app.config import Settings, load_settings
from app.control_plane.clock import wall_clock
from app.foothold import only_server, prepare_folders
from app.keeping import backup, restore
from app.keeping.places import DATABASE, RUN_STORE, Places


def back_up(settings: Settings, target: Path | None) -> backup.Made:
    """Write a backup of a data folder, with or without a server on it."""
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
    """The same, for whoever holds the folder already."""
    return restore.restore(
        file.expanduser().absolute(),
        settings.data_root,
        lambda folder: _places_with(settings, folder),
        _bundles_at,
        wall_clock(),
        trusts_settings=trusts_settings,
    )


def places_of(settings: Settings) -> Places:
    """Where this server's parts are."""
    stores = {DATABASE: settings.database}
    if settings.runs_database_url is not None:
        stores[RUN_STORE] = settings.runs_database_url
    return Places(settings.data_root, settings.runs_root, stores)


def _places_with(settings: Settings, folder: Path) -> Places:
    """The places of this data folder under the settings that another folder has."""
    data = settings.data_root
    other = load_settings(data_dir=folder)
    own = other.model_copy(update={"data_dir": data})
    return replace(places_of(own), data=data)


def _bundles_at(mirrors: Path) -> MirrorBundles:
    return MirrorBundles(mirrors, git=Git(read_identity()))
