"""Pages of the runs of a bulk order, in the order in which it is done, forwards and back."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

from sqlmodel import col, select

from app.records.routing import Stores
from app.records.run_pages import BadCursor
from app.records.tables import BulkItem

_PLACE = re.compile(r"([np])\|([0-9]{1,9})", re.ASCII)


@dataclass(frozen=True)
class BulkPage:
    """Some of its runs, with the cursors of the pages beside it."""

    items: list[BulkItem] = field(default_factory=list)
    next_cursor: str | None = None
    prev_cursor: str | None = None


def list_items(stores: Stores, bulk_id: str, *, limit: int, cursor: str | None) -> BulkPage:
    """One page. Raises BadCursor."""
    forwards, place = _read(cursor) if cursor else (True, -1)
    position = col(BulkItem.position)
    query = select(BulkItem).where(BulkItem.bulk_id == bulk_id)
    if forwards:
        query = query.where(position > place).order_by(position)
    else:
        query = query.where(position < place).order_by(position.desc())
    with stores.control.reading() as session:
        found = list(session.exec(query.limit(limit + 1)).all())
    has_more = len(found) > limit
    items = found[:limit] if forwards else found[:limit][::-1]
    if not items:
        return BulkPage()
    later = has_more if forwards else True
    earlier = place >= 0 if forwards else has_more
    return BulkPage(
        items,
        _write("n", items[-1].position) if later else None,
        _write("p", items[0].position) if earlier else None,
    )


def _write(direction: str, position: int) -> str:
    return base64.urlsafe_b64encode(f"{direction}|{position}".encode()).decode().rstrip("=")


def _read(cursor: str) -> tuple[bool, int]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (ValueError, binascii.Error) as error:
        raise BadCursor(cursor[:80]) from error
    place = _PLACE.fullmatch(text)
    if place is None:
        raise BadCursor(cursor[:80])
    return place[1] == "n", int(place[2])
