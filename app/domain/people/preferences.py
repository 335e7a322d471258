"""Choices of a person for all their browsers: the look of the pages, and the time zone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal
from zoneinfo import available_timezones

# stands alone: services, routes and pages use it
Look = Literal["auto", "light", "dark"]
# zones of files, not of places
_ODD = ("Etc/", "posix/", "right/", "SystemV/")


@dataclass(frozen=True)
class Preferences:
    """The choices of a person with an account; None where each browser decides for itself."""

    look: str | None = None
    time_zone: str | None = None


@cache
def zone_names() -> tuple[str, ...]:
    """Return the names of all time zones of places, and UTC, in order."""
    places = [one for one in available_timezones() if "/" in one and not one.startswith(_ODD)]
    return ("UTC", *sorted(places))


def zone_problem(name: str) -> str | None:
    """Return why a name is no time zone, None if it is one."""
    is_known = not name or name in zone_names()
    return None if is_known else "Name a time zone, like Europe/Berlin."
