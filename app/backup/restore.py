"""Restoring a backup: checked completely before anything is replaced; old files are kept aside."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from app.backup.places import (
    BUNDLE,
    DATABASE,
    FORMAT,
    MANIFEST,
    RUN_STORE,
    SETTINGS,
    Bundles,
    CannotKeep,
    Places,
    stamp,
    sync_folder,
)
from app.backup.stores import fill_servers
from app.backup.trust import (
    SettingsUntrusted,
    is_same_server,
    make_harmless,
    refuse_far_places,
    refuse_foreign_schema,
    settings_in,
)
from app.failpoints import failpoint
from app.records.database.migration import HEAD
from app.records.database.sqlite_files import (
    copy_database,
    file_of,
    has_header,
    is_known,
    problem_of,
    schema_of,
    with_sides,
)

CHUNK = 1024 * 1024
MOST_PARTS = 20_000
MANIFEST_BYTES = 16 * 1024 * 1024
UNPACKING = ".restore-"
OWN_SETTINGS, MARK = "runyard.toml", "server"
# a backup that unpacks to more than LARGE bytes and MOST_PACKED times its size is a zip bomb
LARGE, MOST_PACKED = 64 * 1024 * 1024, 200


@dataclass(frozen=True)
class Restored:
    """The result of a restore; `aside` is the folder that keeps the replaced files, None if none.

    `is_foreign`: the backup is not known as this folder's own, so its token and sessions were
    dropped and its auto loops switched off; `switched_off` are the ids of their projects.
    """

    file: Path
    schema: str
    made_at: str
    branches: int
    aside: Path | None
    is_foreign: bool = False
    left_out: list[str] = field(default_factory=list)
    switched_off: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        aside = str(self.aside) if self.aside else None
        return {**self.__dict__, "file": str(self.file), "aside": aside}


@dataclass(frozen=True)
class Unpacked:
    """The parts of a backup, verified and unpacked into a private folder."""

    folder: Path
    names: tuple[str, ...]
    made_at: str = ""
    left_out: tuple[str, ...] = ()

    def without(self, name: str) -> Unpacked:
        """Return a copy without one part."""
        return replace(self, names=tuple(one for one in self.names if one != name))

    def path(self, name: str) -> Path:
        """Return the file of a part."""
        return self.folder / name.replace("/", "-")


def restore(
    file: Path,
    data: Path,
    places_with: Callable[[Path], Places],
    bundles_at: Callable[[Path], Bundles],
    now: datetime,
    *,
    trusts_settings: bool = False,
) -> Restored:
    """Replace a data folder's contents with a backup and keep the old files aside.

    No server may run. `places_with` returns the places under the settings in a folder. Nothing old
    is changed until the last step, which only renames. A backup of another server brings no token
    and no sessions, and its auto loops are switched off. Raises CannotKeep, SettingsUntrusted,
    CannotRead, DatabaseDamaged, DatabaseSilent, OSError.
    """
    for left in data.glob(f"{UNPACKING}*"):
        shutil.rmtree(left)  # left by a killed restore: no other can hold the folder's lock
    with tempfile.TemporaryDirectory(prefix=UNPACKING, dir=data) as name:
        unpacked = unpack(file, Path(name))
        # the settings in a backup decide where its parts belong
        places = own = places_with(data)
        if OWN_SETTINGS in unpacked.names:
            _refuse_unseen_settings(unpacked, data, trusts=trusts_settings)
            places = places_with(unpacked.folder)
            refuse_far_places(places, own)
        _refuse_other_stores(unpacked, places)
        copies = {name: unpacked.path(name) for name in places.stores}
        schema = {name: _checked_schema(copy, now) for name, copy in copies.items()}[DATABASE]
        is_foreign = not (
            is_same_server(unpacked.path(MARK), _own(data, MARK))
            # a copy made by an upgrade has no server id but is this server's own
            or (unpacked.names == (DATABASE,) and file.resolve().parent == (data / "backups"))
        )
        off = make_harmless(copies[DATABASE]) if is_foreign else []
        if is_foreign:
            unpacked = unpacked.without("token")
        branches = _put_back_branches(unpacked, bundles_at(places.runs / "mirrors"))
        filled = fill_servers(copies, places.stores, now)
        failpoint("restore.after_fill")
        aside = _swap(unpacked, places, set(filled), now)
    left_out = list(unpacked.left_out)
    return Restored(file, schema, unpacked.made_at, branches, aside, is_foreign, left_out, off)


def unpack(file: Path, folder: Path) -> Unpacked:
    """Unpack a backup and verify it against its manifest, or copy a plain database file.

    Raises CannotKeep.
    """
    if not file.is_file():
        raise CannotKeep(f"There is no backup at {file}.")
    if has_header(file):
        unpacked = Unpacked(folder, (DATABASE,))
        copy_database(file, unpacked.path(DATABASE))
        return unpacked
    try:
        with zipfile.ZipFile(file) as archive:
            return _unpack(archive, file, folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise CannotKeep(f"{file} is no backup of Runyard's, or not all of it: {error}.") from error


def _unpack(archive: zipfile.ZipFile, file: Path, folder: Path) -> Unpacked:
    manifest = _manifest(archive, file)
    parts: dict[str, Any] = manifest["parts"]
    names = [entry.filename for entry in archive.infolist()]
    if len(names) > MOST_PARTS or sorted(names) != sorted({*parts, MANIFEST}):
        raise CannotKeep(f"{file} does not match its own list of contents.")
    room = shutil.disk_usage(folder).free
    sizes = {name: _size_of(archive, name, part, file) for name, part in parts.items()}
    whole = sum(sizes.values())
    if whole > LARGE and whole > MOST_PACKED * file.stat().st_size:
        raise CannotKeep(f"{file} would unpack to {whole} B, which no backup of its size does.")
    if whole > room:
        raise CannotKeep(f"There is no room for what is in {file}: {folder.parent} has {room} B.")
    unpacked = Unpacked(folder, tuple(parts), str(manifest["made_at"]), manifest["left_out"])
    for name, part in parts.items():
        _copy_part(archive, name, part, unpacked.path(name))
    return unpacked


def _size_of(archive: zipfile.ZipFile, name: str, part: Any, file: Path) -> int:
    """Return a part's size in bytes. Raises CannotKeep if manifest and archive differ."""
    entry = archive.getinfo(name)
    size = part.get("bytes") if isinstance(part, dict) else None
    # other methods may expand a few bytes in memory before they can be counted
    is_packed_our_way = entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    is_size = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    if not (is_size and is_packed_our_way and size == entry.file_size):
        raise CannotKeep(f"{file} does not match its own list of contents.")
    return int(size or 0)


def _manifest(archive: zipfile.ZipFile, file: Path) -> dict[str, Any]:
    try:
        with archive.open(MANIFEST) as opened:
            found = json.loads(opened.read(MANIFEST_BYTES))
        is_ours = int(found["format"]) <= FORMAT
        names = [name for name in found["parts"] if not _may_hold(name)]
        found = {**found, "made_at": found["made_at"], "left_out": tuple(found["left_out"])}
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise CannotKeep(f"{file} is no backup of Runyard's.") from error
    if not is_ours:
        raise CannotKeep(f"{file} was made by a newer Runyard: restore it with that one.")
    if names or DATABASE not in found["parts"]:
        raise CannotKeep(f"{file} holds what no backup has, or no database.")
    return found


def _may_hold(name: str) -> bool:
    nowhere = Places(Path("/"), Path("/"), {})
    is_small = nowhere.place_of(name) is not None
    return name in SETTINGS or is_small or BUNDLE.fullmatch(name) is not None


def _refuse_other_stores(unpacked: Unpacked, places: Places) -> None:
    """Raise CannotKeep if only one of backup and settings has a separate run store."""
    is_held, is_set = (RUN_STORE in names for names in (unpacked.names, places.stores))
    if is_held and not is_set:
        raise CannotKeep(
            "This backup holds runs that have a database of their own: set "
            "RUNYARD_RUNS_DATABASE_URL to where they belong."
        )
    if is_set and not is_held:
        raise CannotKeep(
            "RUNYARD_RUNS_DATABASE_URL names a database for runs, and this backup has none of "
            "that kind: unset it, or restore a backup that holds both."
        )


def _copy_part(archive: zipfile.ZipFile, name: str, part: dict[str, Any], target: Path) -> None:
    digest, left = hashlib.sha256(), part["bytes"]
    private = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(private, "wb") as into, archive.open(name) as source:
        while piece := source.read(min(CHUNK, left + 1)):
            left -= len(piece)
            if left < 0:
                break
            digest.update(piece)
            into.write(piece)
        into.flush()
        os.fsync(into.fileno())
    if left or digest.hexdigest() != part.get("sha256"):
        raise CannotKeep(f"{name} in this backup was changed since: use another backup.")


def _refuse_unseen_settings(unpacked: Unpacked, data: Path, *, trusts: bool) -> None:
    theirs, ours = unpacked.path(OWN_SETTINGS), _own(data, OWN_SETTINGS)
    settings = settings_in(theirs)
    is_known = ours.is_file() and ours.read_bytes() == theirs.read_bytes()
    if settings and not (trusts or is_known):
        raise SettingsUntrusted(settings)


def _own(data: Path, name: str) -> Path:
    """Return this folder's small file, or its newest kept copy after an interrupted restore."""
    aside = sorted(data.glob(f"before-restore-*/{name}"), key=lambda file: file.stat().st_mtime)
    return data / name if (data / name).is_file() or not aside else aside[-1]


def _checked_schema(database: Path, now: datetime) -> str:
    if problem := problem_of(database):
        raise CannotKeep(f"The database in this backup is damaged ({problem}): use another backup.")
    schema = schema_of(database)
    if schema is None:
        raise CannotKeep("The database in this backup is not one of Runyard's.")
    if not is_known(schema):
        raise CannotKeep(
            f"This backup has schema {schema}; this Runyard knows schemas up to {HEAD}. "
            "Restore it with the newer Runyard."
        )
    refuse_foreign_schema(database, schema, now)
    return schema


def _put_back_branches(unpacked: Unpacked, bundles: Bundles) -> int:
    found = [(name, BUNDLE.fullmatch(name)) for name in unpacked.names]
    return sum(bundles.put_back(match[1], unpacked.path(name)) for name, match in found if match)


def _swap(unpacked: Unpacked, places: Places, filled: set[str], now: datetime) -> Path | None:
    """Move the old files aside, then each part into its place, the control store last.

    Interrupted, it leaves no database: the next start reports that, and restoring again completes
    it. Returns the folder of the old files, None if there were none.
    """
    files = {name: file_of(url) for name, url in places.stores.items() if name not in filled}
    stores = {name: file for name, file in files.items() if file is not None}
    small = {name: places.place_of(name) for name in unpacked.names}
    targets = {name: place for name, place in small.items() if place is not None}
    old = {path: path.name for path in targets.values()}
    for name, file in stores.items():
        _empty_the_log(file)
        # both databases may have the same file name, in different folders
        folder = "runs-" if name == RUN_STORE else ""
        old |= {path: f"{folder}{path.name}" for path in with_sides(file)}
    old = {path: name for path, name in old.items() if os.path.lexists(path)}
    aside = _put_aside(old, places.data, now) if old else None
    failpoint("restore.after_aside")
    for name, place in [*targets.items(), *reversed(stores.items())]:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _move(unpacked.path(name), place)
    return aside


def _put_aside(old: dict[Path, str], data: Path, now: datetime) -> Path:
    folder = data / f"before-restore-{stamp(now)}"
    number = 1
    while folder.exists():
        number += 1
        folder = data / f"before-restore-{stamp(now)}-{number}"
    folder.mkdir(mode=0o700)
    for path, name in old.items():
        _move(path, folder / name)
    return folder


def _move(source: Path, target: Path) -> None:
    """Move a file; across disks, copy it to a temporary name and rename that."""
    try:
        source.rename(target)
    except OSError:
        beside = target.with_name(f".{target.name}.moving")
        shutil.copy2(source, beside, follow_symlinks=False)
        beside.rename(target)
        source.unlink()
    sync_folder(target.parent)


def _empty_the_log(database: Path) -> None:
    """Merge the old write-ahead log into the old database, so that one file holds everything."""
    # a damaged database is kept as it is, with its log beside it
    if database.is_file():
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(database)) as old:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
