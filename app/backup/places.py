"""What a backup is made of, and where each part of it is."""

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
# which setting names each
SETTINGS = {DATABASE: "RUNYARD_DATABASE_URL", RUN_STORE: "RUNYARD_RUNS_DATABASE_URL"}
# in the data folder: the operator's secret, the settings, this server's mark
IN_DATA = ("token", "runyard.toml", "server")
INSTANCE = re.compile(r"instance(-[0-9a-f]{12})?", re.ASCII)
BUNDLE = re.compile(r"mirrors/([a-z0-9_]{1,80})\.bundle", re.ASCII)
FORMAT = 1


class CannotKeep(Exception):
    """A backup or a restore was not done, and nothing was changed; the message says why."""


class Bundles(Protocol):
    """Mirrors as files."""

    def holding_claims(self) -> list[str]:
        """Ids of the projects whose mirror holds a claim."""
        ...

    def write(self, project_id: str, file: Path) -> None:
        """Every claim and what origin had, whole, into a new file."""
        ...

    def put_back(self, project_id: str, file: Path) -> int:
        """Bring back the claims that the mirror has not; how many."""
        ...


@dataclass(frozen=True)
class Places:
    """Where a Runyard's parts are; of its databases the addresses, the control store's first."""

    data: Path
    runs: Path
    stores: Mapping[str, str]

    @property
    def backups(self) -> Path:
        """Where backups go that were given no other place."""
        return self.data / "backups"

    def small_files(self) -> dict[str, Path]:
        """The small files that are there, by their names in a backup."""
        found = {name: self.data / name for name in IN_DATA if is_plain(self.data / name)}
        marks = self.runs.glob("instance*") if self.runs.is_dir() else ()
        return found | {
            f"runs/{mark.name}": mark
            for mark in sorted(marks)
            if INSTANCE.fullmatch(mark.name) and is_plain(mark)
        }

    def place_of(self, name: str) -> Path | None:
        """Where a small file of a backup belongs; None for a name that no backup has."""
        if name in IN_DATA:
            return self.data / name
        folder, _, mark = name.partition("/")
        return self.runs / mark if folder == "runs" and INSTANCE.fullmatch(mark) else None


def is_plain(path: Path) -> bool:
    """True for a file that is a file itself, not a link to one."""
    return path.is_file() and not path.is_symlink()


def stamp(now: datetime) -> str:
    """A moment as part of a file's name."""
    return f"{now:%Y%m%dT%H%M%SZ}"


def sync_folder(folder: Path) -> None:
    """Have the names in a folder written through."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
