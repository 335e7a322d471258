"""The parts of a backup, and where each belongs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

MANIFEST = "manifest.json"
DATABASE, RUN_STORE = "runyard.db", "runs.db"
# the setting that names each database
SETTINGS = {DATABASE: "RUNYARD_DATABASE_URL", RUN_STORE: "RUNYARD_RUNS_DATABASE_URL"}
# in the data folder: the operator's token, the settings, this server's id
IN_DATA = ("token", "runyard.toml", "server")
INSTANCE = re.compile(r"instance(-[0-9a-f]{12})?", re.ASCII)
BUNDLE = re.compile(r"mirrors/([a-z0-9_]{1,80})\.bundle", re.ASCII)
FORMAT = 1


class CannotKeep(Exception):
    """A backup or restore was refused and nothing was changed; the message says why."""


class Bundles(Protocol):
    """Mirrors as git bundles."""

    def holding_claims(self) -> list[str]:
        """Return the ids of the projects whose mirror holds a claim."""
        ...

    def write(self, project_id: str, file: Path) -> None:
        """Write every claim and origin's branches into a new, self-contained file."""
        ...

    def put_back(self, project_id: str, file: Path) -> int:
        """Restore the claims that the mirror lacks and return their number."""
        ...


@dataclass(frozen=True)
class Places:
    """The locations of a server's parts; `stores` are database URLs, the control store first."""

    data: Path
    runs: Path
    stores: Mapping[str, str]

    @property
    def backups(self) -> Path:
        """The default folder for backups."""
        return self.data / "backups"

    def small_files(self) -> dict[str, Path]:
        """Return the existing small files by their names in a backup."""
        found = {name: self.data / name for name in IN_DATA if is_plain(self.data / name)}
        marks = self.runs.glob("instance*") if self.runs.is_dir() else ()
        return found | {
            f"runs/{mark.name}": mark
            for mark in sorted(marks)
            if INSTANCE.fullmatch(mark.name) and is_plain(mark)
        }

    def place_of(self, name: str) -> Path | None:
        """Return where a small file of a backup belongs; None for a name that no backup has."""
        if name in IN_DATA:
            return self.data / name
        folder, _, mark = name.partition("/")
        return self.runs / mark if folder == "runs" and INSTANCE.fullmatch(mark) else None


def is_plain(path: Path) -> bool:
    """Return True for a regular file that is not a symlink."""
    return path.is_file() and not path.is_symlink()


def stamp(now: datetime) -> str:
    """Format a moment (UTC) for use in a file name."""
    return f"{now:%Y%m%dT%H%M%SZ}"


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that new names in it survive a crash."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
