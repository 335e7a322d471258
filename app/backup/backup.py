"""Writing a backup: one zip file of what cannot be recreated: rows, secrets, settings, work."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from app.backup.places import (
    DATABASE,
    FORMAT,
    MANIFEST,
    Bundles,
    CannotKeep,
    Places,
    stamp,
    sync_folder,
)
from app.backup.stores import copy_at_once
from app.records.database.sqlite_files import schema_of

CHUNK = 1024 * 1024
LEVEL = 1  # most parts are compressed already, or compress well at any level
COPIES, RECORDS = "copies", "records"


@dataclass(frozen=True)
class Made:
    """A finished backup: its file, size and part sizes in bytes, and sentences on what it lacks."""

    file: Path
    bytes: int
    schema: str
    parts: dict[str, int]
    left_out: list[str]

    def as_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return {**self.__dict__, "file": str(self.file)}


@dataclass
class _Archive:
    """A zip file being filled, with the size in bytes and SHA-256 digest of each part."""

    zip: zipfile.ZipFile
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, name: str, file: Path) -> None:
        digest, size = hashlib.sha256(), 0
        with file.open("rb") as source, self.zip.open(_entry(name), "w", force_zip64=True) as into:
            while piece := source.read(CHUNK):
                digest.update(piece)
                size += len(piece)
                into.write(piece)
        self.parts[name] = {"bytes": size, "sha256": digest.hexdigest()}

    def close(self, facts: dict[str, Any]) -> None:
        text = json.dumps({**facts, "parts": self.parts}, indent=1)
        self.zip.writestr(_entry(MANIFEST), text)


def back_up(
    places: Places, bundles: Bundles, target: Path | None, *, program: str, now: datetime
) -> Made:
    """Write a backup, complete or not at all, while the server and its runs continue.

    `target` is a new file or a folder; None means the data folder's `backups`. Raises CannotKeep,
    DatabaseDamaged, DatabaseSilent, CannotRead, OSError.
    """
    file = _new_file(places, target, now)
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=file.parent) as name:
        folder = Path(name)
        whole = folder / "whole"
        with zipfile.ZipFile(whole, "x", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as opened:
            archive = _Archive(opened)
            schema = _fill(archive, places, bundles, folder, now)
            left_out = _left_out(places)
            about = {"format": FORMAT, "program": program, "schema": schema}
            archive.close({**about, "made_at": now.isoformat(), "left_out": left_out})
        _put(whole, file)
    parts = {name: part["bytes"] for name, part in archive.parts.items()}
    return Made(file, file.stat().st_size, schema, parts, left_out)


def _fill(archive: _Archive, places: Places, bundles: Bundles, folder: Path, now: datetime) -> str:
    """Add all parts and return the schema.

    Rows come first: a branch created in between is then one too many, and none is missing.
    """
    copies = copy_at_once(places.stores, folder, now)
    schema = schema_of(copies[DATABASE])
    for name, copy in copies.items():
        archive.add(name, copy)
        copy.unlink()
    for name, file in places.small_files().items():
        archive.add(name, file)
    for project_id in bundles.holding_claims():
        bundle = folder / f"{project_id}.bundle"
        bundles.write(project_id, bundle)
        archive.add(f"mirrors/{project_id}.bundle", bundle)
        bundle.unlink()
    return str(schema)


def _left_out(places: Places) -> list[str]:
    logs, copies = _count(places.runs / RECORDS), _count(places.runs / COPIES)
    said = [f"logs of runs: {logs}"] if logs else []
    if copies:
        said.append(
            f"working copies ({copies}): files in them that are not committed, and commits of runs "
            "that are live"
        )
    return [*said, "repositories without work of Runyard's: they are cloned again"]


def _count(folder: Path) -> int:
    try:
        with os.scandir(folder) as entries:
            return sum(not entry.name.startswith(".") for entry in entries)
    except FileNotFoundError:
        return 0


def _new_file(places: Places, target: Path | None, now: datetime) -> Path:
    name = f"runyard-{stamp(now)}.zip"
    if target is None:
        places.backups.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = places.backups
    target = target.expanduser().absolute()
    file = target / name if target.is_dir() else target
    if os.path.lexists(file):
        raise CannotKeep(f"{file} is there already: give another name.")
    if not file.parent.is_dir():
        raise CannotKeep(f"There is no folder {file.parent}: make it first.")
    return file


def _put(whole: Path, file: Path) -> None:
    """Sync the file and give it its final name, never replacing another file."""
    whole.chmod(0o600)
    with whole.open("rb") as written:
        os.fsync(written.fileno())
    try:
        os.link(whole, file)
    except FileExistsError as error:
        raise CannotKeep(f"{file} is there already: give another name.") from error
    except OSError:
        _move_without_links(whole, file)
    sync_folder(file.parent)


def _move_without_links(whole: Path, file: Path) -> None:
    # for file systems without hard links
    if os.path.lexists(file):
        raise CannotKeep(f"{file} is there already: give another name.")
    whole.rename(file)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    return entry
