"""Making a data folder of a backup: checked whole before anything is replaced, nothing deleted."""

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
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from app.failpoints import reach
from app.keeping.places import (
    BUNDLE,
    DATABASE,
    FORMAT,
    MANIFEST,
    Bundles,
    CannotKeep,
    Places,
    stamp,
    sync_folder,
)
from app.records.migration import HEAD
from app.records.sqlite_files import (
    copy_database,
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


@dataclass(frozen=True)
class Restored:
    """A restore: what it was made of, and where what was there before is kept, None: nothing."""

    file: Path
    schema: str
    made_at: str
    branches: int
    aside: Path | None
    left_out: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """As JSON."""
        aside = str(self.aside) if self.aside else None
        return {**self.__dict__, "file": str(self.file), "aside": aside}


@dataclass(frozen=True)
class Unpacked:
    """A backup's parts as files of a folder of ours, each as it was written."""

    folder: Path
    names: tuple[str, ...]
    made_at: str = ""
    left_out: tuple[str, ...] = ()

    def path(self, name: str) -> Path:
        """Where a part is."""
        return self.folder / name.replace("/", "-")


def restore(
    file: Path,
    data: Path,
    places_with: Callable[[Path], Places],
    bundles_at: Callable[[Path], Bundles],
    now: datetime,
) -> Restored:
    """Put a backup in the place of what is there, which is kept aside; no server may run.

    `places_with` answers the places under the settings in a folder. Until the last step, which
    only renames, nothing of what was there is changed. Raises CannotKeep, CannotRead,
    DatabaseDamaged, OSError.
    """
    for left in data.glob(f"{UNPACKING}*"):
        shutil.rmtree(left)  # of one that was killed; the folder is ours alone
    with tempfile.TemporaryDirectory(prefix=UNPACKING, dir=data) as name:
        unpacked = unpack(file, Path(name))
        schema = _checked_schema(unpacked.path(DATABASE))
        # settings that come with a backup say where its parts belong
        places = places_with(unpacked.folder if "runyard.toml" in unpacked.names else data)
        if places.database is None:
            raise CannotKeep(
                "RUNYARD_DATABASE_URL names PostgreSQL, and this backup holds an SQLite database: "
                "restore that one with pg_restore."
            )
        branches = _put_back_branches(unpacked, bundles_at(places.runs / "mirrors"))
        aside = _swap(unpacked, places, places.database, now)
    return Restored(file, schema, unpacked.made_at, branches, aside, list(unpacked.left_out))


def unpack(file: Path, folder: Path) -> Unpacked:
    """The parts of a backup, or a database's own file; every byte as its list says."""
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
        raise CannotKeep(f"{file} does not hold what its list says.")
    room = shutil.disk_usage(folder).free
    if sum(int(part["bytes"]) for part in parts.values()) > room:
        raise CannotKeep(f"There is no room for what is in {file}: {folder.parent} has {room} B.")
    unpacked = Unpacked(folder, tuple(parts), str(manifest["made_at"]), manifest["left_out"])
    for name, part in parts.items():
        _copy_part(archive, name, part, unpacked.path(name))
    return unpacked


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
    nowhere = Places(Path("/"), Path("/"), None)
    is_small = nowhere.place_of(name) is not None
    return name == DATABASE or is_small or BUNDLE.fullmatch(name) is not None


def _copy_part(archive: zipfile.ZipFile, name: str, part: dict[str, Any], target: Path) -> None:
    digest, left = hashlib.sha256(), int(part["bytes"])
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
    if left or digest.hexdigest() != part["sha256"]:
        raise CannotKeep(f"{name} in this backup is not as it was written: use another backup.")


def _checked_schema(database: Path) -> str:
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
    return schema


def _put_back_branches(unpacked: Unpacked, bundles: Bundles) -> int:
    found = [(name, BUNDLE.fullmatch(name)) for name in unpacked.names]
    return sum(bundles.put_back(match[1], unpacked.path(name)) for name, match in found if match)


def _swap(unpacked: Unpacked, places: Places, database: Path, now: datetime) -> Path | None:
    """What is there goes aside, then each part goes to its place, the database last.

    Ended in the middle, it leaves no database: a start says so, and doing it again completes it.
    """
    _empty_the_log(database)
    small = {name: places.place_of(name) for name in unpacked.names}
    targets = {name: place for name, place in small.items() if place is not None}
    old = [path for path in (*with_sides(database), *targets.values()) if os.path.lexists(path)]
    aside = _put_aside(old, places.data, now) if old else None
    reach("restore.after_aside")
    targets[DATABASE] = database
    for name, place in targets.items():
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _move(unpacked.path(name), place)
    return aside


def _put_aside(old: list[Path], data: Path, now: datetime) -> Path:
    folder = data / f"before-restore-{stamp(now)}"
    number = 1
    while folder.exists():
        number += 1
        folder = data / f"before-restore-{stamp(now)}-{number}"
    folder.mkdir(mode=0o700)
    for path in old:
        _move(path, folder / path.name)
    return folder


def _move(source: Path, target: Path) -> None:
    """Rename; onto another disk, copy whole under a name of its own first."""
    try:
        source.rename(target)
    except OSError:
        beside = target.with_name(f".{target.name}.moving")
        shutil.copy2(source, beside, follow_symlinks=False)
        beside.rename(target)
        source.unlink()
    sync_folder(target.parent)


def _empty_the_log(database: Path) -> None:
    """Bring the old write-ahead log into the old database, so that one file is all of it."""
    # a damaged one is put aside as it is, its log beside it
    if database.is_file():
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(database)) as old:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
