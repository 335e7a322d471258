"""Keys of orders for many runs: who sends one again is answered the order that it has made.

An order under a key has an id that is made of both the key and its person, so that the database
itself holds one order for each.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from app.domain.ids import mint_control_id
from app.errors import KeyReused
from app.records.bulk_ledger import BulkLedger
from app.records.tables import Bulk
from app.services.submits import Asker


@dataclass(frozen=True)
class Ordered:
    """The order; `replayed` where its key had already made it."""

    bulk: Bulk
    replayed: bool


class BulkKeys:
    """The keys of everybody's orders, each kept so many seconds."""

    def __init__(self, ledger: BulkLedger, seconds: int) -> None:
        self._ledger = ledger
        self._seconds = seconds

    def find(self, asker: Asker, now: datetime) -> tuple[str, Bulk | None]:
        """The id of an order under the asker's key, and the order where it was given before."""
        number = 0
        while True:
            bulk_id = _id_of(asker, number)
            held = self._ledger.find(bulk_id)
            if held is None or (now - held.created_at).total_seconds() < self._seconds:
                return bulk_id, held
            number += 1


def same(held: Bulk, asked: Bulk) -> Ordered:
    """What was ordered before, if it is what is asked for now. Raises KeyReused."""
    if (held.action, held.wanted) != (asked.action, asked.wanted):
        raise KeyReused("This key has already made another order.", bulk_id=held.id)
    return Ordered(held, True)


def _id_of(asker: Asker, number: int) -> str:
    """`number` counts the orders whose time with the key is over."""
    text = json.dumps([asker.person_id, asker.key, number])
    digest = hashlib.sha256(text.encode()).digest()
    return mint_control_id("bulk", at_ms=int.from_bytes(digest[10:16], "big"), entropy=digest)
