"""Free disk space where Runyard and its agents work, and the hold while there is too little."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.domain.formatting import room_missing, size_words


@dataclass(frozen=True)
class Room:
    """A folder with the free and total bytes of its file system."""

    name: str
    folder: Path
    free: int
    size: int

    @property
    def missing(self) -> int:
        """Bytes that must be freed before work can continue, 0 if there is enough."""
        return room_missing(self.free, self.size)


class DiskRoom:
    """File systems of the data folder, the runs and temporary files.

    `places` maps names to folders; free space below `low_bytes` or `low_percent` is low.
    """

    def __init__(self, places: Mapping[str, Path], low_bytes: int, low_percent: float) -> None:
        self._places = places
        self._low_bytes = low_bytes
        self._low_percent = low_percent

    def rooms(self) -> list[Room]:
        """Return every readable place, each file system once."""
        found: dict[int, Room] = {}
        for name, folder in self._places.items():
            try:
                device, usage = os.stat(folder).st_dev, shutil.disk_usage(folder)
            except OSError:
                continue  # doctor reports a folder that cannot be read
            found.setdefault(device, Room(name, folder, usage.free, usage.total))
        return list(found.values())

    def low(self) -> list[Room]:
        """Return the places that are low on space."""
        return [one for one in self.rooms() if self._is_low(one)]

    def sentence(self) -> str:
        """Return a sentence about the full disk for people, empty if there is room."""
        return next((self._words(one) for one in self.rooms() if one.missing), "")

    def hold(self) -> str | None:
        """Return why no run starts now, None if there is room."""
        full = next((one for one in self.rooms() if one.missing), None)
        if full is None:
            return None
        return f"the disk of {full.name} is full: {size_words(full.missing)} missing"

    def _is_low(self, room: Room) -> bool:
        return (
            room.free < max(self._low_bytes, 0) or room.free * 100 < room.size * self._low_percent
        )

    def _words(self, room: Room) -> str:
        return (
            f"The disk of {room.name} is full: {size_words(room.free)} free in {room.folder}, "
            f"{size_words(room.missing)} missing. Nothing starts until there is room; "
            "then Runyard continues automatically."
        )
