"""Keys of orders for many runs: who sends one again is answered the order that it has made.

An order under a key has an id that is made of both the key and its person, so that the database
itself holds one order for each.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime

from app.domain.batches import BulkAction
from app.domain.ids import mint_control_id
from app.domain.lifecycle import DONE, WAITING
from app.domain.words import Status
from app.errors import Invalid, KeyReused
from app.records.batches.bulk_ledger import BulkLedger
from app.records.runs.run_pages import RunFilter, list_runs
from app.records.stores.routing import Stores
from app.records.tables import Bulk
from app.services.runs.requests import Asker


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


MAX_RUNS = 10_000
AT_ONCE = 500
NOT_ALL = "Among more than {:,} runs these cannot all be found: name a project or a time, too."
CAN_BE = {
    BulkAction.STOP: sorted(set(Status) - DONE),
    BulkAction.RETRY: sorted(DONE - {Status.SUCCEEDED}),
}


def runs_meant(stores: Stores, action: BulkAction, wanted: RunFilter) -> list[str]:
    """The ids of the runs that it can be done to, in the order in which it is. Raises Invalid."""
    # an empty list of states would mean any
    if not (statuses := [one for one in CAN_BE[action] if one in (wanted.statuses or Status)]):
        return []
    meant = replace(wanted, statuses=statuses, is_last_try=action is BulkAction.RETRY)
    # of thousands of rows nothing is kept but what is asked of them
    found: list[tuple[str, bool]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = list_runs(stores, meant, limit=AT_ONCE, cursor=cursor)
        if page.looked_among is not None:
            # what nobody looked at might be meant, too
            raise Invalid.field("filter", NOT_ALL.format(page.looked_among))
        found += [(run.id, run.status in WAITING) for run in page.items]
        if len(found) > MAX_RUNS:
            raise Invalid.field("filter", f"More than {MAX_RUNS} runs: narrow the filter.")
        cursor = page.next_cursor
    if action is BulkAction.RETRY:
        return [run_id for run_id, _ in reversed(found)]
    # what works is stopped first, then what came last, before it begins
    return [run_id for run_id, _ in sorted(found, key=lambda one: one[1])]
