"""Cursors for paging: a place between two rows and a direction.

Places are by (created_at, id), newest first, by position, lowest first, or by (amount, id),
greatest first.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Protocol, TypeVar

from sqlalchemy import ColumnElement, UnaryExpression, and_, or_
from sqlalchemy.sql.elements import SQLCoreOperations as Column

# times are stored to the microsecond
NEXT = timedelta(microseconds=1)
YEARS = range(1970, 9999)
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC) - NEXT
_POSITION = re.compile(r"-1|[0-9]{1,9}", re.ASCII)
LAST_POSITION = 999_999_999


class BadCursor(ValueError):
    """A cursor that this server did not make."""


class Listed(Protocol):
    """A row of a list that is sorted by (created_at, id)."""

    id: str
    created_at: datetime


Row = TypeVar("Row", bound=Listed)


Anything = TypeVar("Anything")


@dataclass(frozen=True)
class Place:
    """A place between two rows: the page after it (older) or before it (newer)."""

    forwards: bool
    at: datetime
    id: str


def read_cursor(cursor: str | None, is_id: Callable[[str], bool]) -> Place | None:
    """Decode a cursor; None if there is none. Raises BadCursor."""
    if not cursor:
        return None
    forwards, parts = _read(cursor)
    try:
        at, row_id = parts
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise BadCursor(cursor[:80]) from error
    # accept only cursors exactly as written here: no odd value may reach a database
    if moment.tzinfo is not UTC or moment.year not in YEARS or not is_id(row_id):
        raise BadCursor(cursor[:80])
    return Place(forwards, moment, row_id)


def is_beyond(place: Place, when: Column[datetime], which: Column[str]) -> ColumnElement[bool]:
    """Return the condition that a row lies beyond a place, in the place's direction."""
    # the first half lets the database use an index
    if place.forwards:
        return and_(when <= place.at, or_(when < place.at, which < place.id))
    return and_(when >= place.at, or_(when > place.at, which > place.id))


def order_from(
    place: Place | None, when: Column[datetime], which: Column[str]
) -> tuple[UnaryExpression[datetime], UnaryExpression[str]]:
    """Return the sort order for reading from a place, or from the newest row."""
    if place is None or place.forwards:
        return when.desc(), which.desc()
    return when.asc(), which.asc()


def page_from(
    place: Place | None, found: Sequence[Row], limit: int
) -> tuple[list[Row], str | None, str | None]:
    """Build a page, newest first, with the cursors of the next and the previous page.

    `found` are the first rows from the place on, at most `limit` + 1 from each store.
    """
    backwards = place is not None and not place.forwards
    ordered = sorted(found, key=lambda row: (row.created_at, row.id), reverse=not backwards)
    items, has_more = ordered[:limit], len(ordered) > limit
    if backwards:
        items.reverse()
    if not items:
        # the rows of this page are gone: the cursor back starts at the row beside the place
        if place is None:
            return [], None, None
        beside = min(place.at + NEXT, LAST) if backwards else max(place.at - NEXT, FIRST)
        return [], *_back(place.forwards, beside, place.id)
    older = has_more if not backwards else True
    newer = has_more if backwards else place is not None
    last, first = items[-1], items[0]
    return (
        items,
        _write(True, last.created_at, last.id) if older else None,
        _write(False, first.created_at, first.id) if newer else None,
    )


@dataclass(frozen=True)
class Position:
    """A place after (forwards) or before a position; -1 is before the first."""

    forwards: bool = True
    at: int = -1

    def is_beyond(self, position: Column[int]) -> ColumnElement[bool]:
        """Return the condition that a row lies beyond this place, in its direction."""
        return position > self.at if self.forwards else position < self.at

    def order(self, position: Column[int]) -> UnaryExpression[int]:
        """Return the sort order for reading from this place."""
        return position.asc() if self.forwards else position.desc()

    def page(
        self, found: Sequence[tuple[int, Anything]], limit: int
    ) -> tuple[list[tuple[int, Anything]], str | None, str | None]:
        """Build a page in order, with the cursors of the next and the previous page.

        `found` are the first positions from here on, at most `limit` + 1.
        """
        has_more = len(found) > limit
        items = list(found[:limit]) if self.forwards else list(found[:limit])[::-1]
        if not items:
            if self == Position():
                return [], None, None
            beside = min(self.at + 1, LAST_POSITION) if self.forwards else max(self.at - 1, -1)
            return [], *_back(self.forwards, beside)
        later = has_more if self.forwards else True
        earlier = self.at >= 0 if self.forwards else has_more
        return (
            items,
            _write(True, items[-1][0]) if later else None,
            _write(False, items[0][0]) if earlier else None,
        )


def read_position(cursor: str | None) -> Position:
    """Decode a position cursor; without one, the place before the first row. Raises BadCursor."""
    if not cursor:
        return Position()
    forwards, parts = _read(cursor)
    if len(parts) != 1 or not _POSITION.fullmatch(parts[0]):
        raise BadCursor(cursor[:80])
    return Position(forwards, int(parts[0]))


def write_position(at: int) -> str:
    """Encode the place after a position as a cursor."""
    return _write(True, at)


@dataclass(frozen=True)
class Amount:
    """A place in a list by (amount, id), greatest first; `forwards` to the smaller ones."""

    forwards: bool
    at: float
    id: str

    def is_beyond(self, amount: Column[float], which: Column[str]) -> ColumnElement[bool]:
        """Return the condition that a row lies beyond this place, in its direction."""
        # the first half lets the database use an index
        if self.forwards:
            return and_(amount <= self.at, or_(amount < self.at, which < self.id))
        return and_(amount >= self.at, or_(amount > self.at, which > self.id))


def read_amount(cursor: str | None, is_id: Callable[[str], bool]) -> Amount | None:
    """Decode a cursor of a list by amount; None if there is none. Raises BadCursor."""
    if not cursor:
        return None
    forwards, parts = _read(cursor)
    try:
        written, row_id = parts
        at = float(written)
    except ValueError as error:
        raise BadCursor(cursor[:80]) from error
    if not isfinite(at) or repr(at) != written or not is_id(row_id):
        raise BadCursor(cursor[:80])
    return Amount(forwards, at, row_id)


def page_by_amount(
    place: Amount | None, found: Sequence[tuple[float, str, Anything]], limit: int
) -> tuple[list[Anything], str | None, str | None]:
    """Build a page of (amount, id, row), greatest first, with the cursors of both neighbors.

    `found` are the first rows from the place on, at most `limit` + 1 from each store.
    """
    backwards = place is not None and not place.forwards
    ordered = sorted(found, key=lambda one: (one[0], one[1]), reverse=not backwards)
    rows, has_more = ordered[:limit], len(ordered) > limit
    if backwards:
        rows.reverse()
    if not rows:
        if place is None:
            return [], None, None
        return [], *_back(place.forwards, repr(place.at), place.id)
    after = backwards or has_more
    before = has_more if backwards else place is not None
    return (
        [one[2] for one in rows],
        _write(True, repr(rows[-1][0]), rows[-1][1]) if after else None,
        _write(False, repr(rows[0][0]), rows[0][1]) if before else None,
    )


def _back(forwards: bool, *place: datetime | int | str) -> tuple[str | None, str | None]:
    back = _write(not forwards, *place)
    return (None, back) if forwards else (back, None)


def _write(forwards: bool, *place: datetime | int | str) -> str:
    parts = [one.astimezone(UTC).isoformat() if isinstance(one, datetime) else one for one in place]
    text = "|".join(["n" if forwards else "p", *map(str, parts)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(cursor: str) -> tuple[bool, list[str]]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (ValueError, binascii.Error) as error:
        raise BadCursor(cursor[:80]) from error
    direction, *parts = text.split("|")
    if direction not in {"n", "p"}:
        raise BadCursor(cursor[:80])
    return direction == "n", parts
