"""The window's last position, size and look, kept in a small file that is never trusted."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

USUAL_WIDTH, USUAL_HEIGHT = 1280, 860
LEAST_WIDTH, LEAST_HEIGHT = 360, 400
LOOKS = ("light", "dark")
_MOST_BYTES = 1000
_FARTHEST = 100_000


@dataclass(frozen=True)
class Area:
    """A rectangle of the desktop, in pixels: a screen or a window."""

    x: int
    y: int
    width: int
    height: int

    def overlap(self, other: Area) -> int:
        """Return the area shared with another rectangle, in pixels."""
        wide = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        high = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(wide, 0) * max(high, 0)


@dataclass(frozen=True)
class Place:
    """A window's area (before it was maximized) and its pinned look, if any."""

    area: Area
    is_maximized: bool = False
    look: str | None = None


def recall(file: Path) -> Place | None:
    """Return the saved place, None if there is none or it makes no sense."""
    try:
        with file.open("rb") as opened:
            kept = json.loads(opened.read(_MOST_BYTES + 1)[:_MOST_BYTES])
        numbers = [kept[name] for name in ("x", "y", "width", "height")]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    if not all(type(number) is int and abs(number) < _FARTHEST for number in numbers):
        return None
    look = kept.get("look")
    return Place(Area(*numbers), kept.get("is_maximized") is True, look if look in LOOKS else None)


def keep(file: Path, place: Place) -> None:
    """Save the place atomically; if the disk is full, it is not saved."""
    kept = {**asdict(place), **asdict(place.area)}
    del kept["area"]
    half = file.with_name(f"{file.name}.new")
    try:
        with open(half, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as opened:
            json.dump(kept, opened)
        os.replace(half, file)
    except OSError:
        half.unlink(missing_ok=True)


def fit(place: Place | None, screens: Sequence[Area]) -> Place:
    """Return a place that lies fully on the screen that had most of it, else on the first.

    `screens` are the usable areas, the primary screen first; there is at least one.
    """
    wished = place or Place(Area(0, 0, USUAL_WIDTH, USUAL_HEIGHT))
    screen = max(screens, key=wished.area.overlap) if place else screens[0]
    width = min(max(wished.area.width, LEAST_WIDTH), screen.width)
    height = min(max(wished.area.height, LEAST_HEIGHT), screen.height)
    right, bottom = screen.x + screen.width - width, screen.y + screen.height - height
    if place is None or not wished.area.overlap(screen):
        x, y = (screen.x + right) // 2, (screen.y + bottom) // 2
    else:
        x, y = (min(max(wished.area.x, screen.x), right), min(max(wished.area.y, screen.y), bottom))
    return replace(wished, area=Area(x, y, width, height))
