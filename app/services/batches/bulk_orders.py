"""Bulk orders: their idempotency keys, and the choice of their runs.

A repeated request returns the order already made. The id of an order under a key is derived from
key and person, so that the database itself allows only one order for each.
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
from app.services.runs.requests import Requester

MAX_RUNS = 10_000
AT_ONCE = 500
NOT_ALL = "Too many runs to search (more than {:,}). Add a project or a time range."
CAN_BE = {
    BulkAction.STOP: sorted(set(Status) - DONE),
    BulkAction.RETRY: sorted(DONE - {Status.SUCCEEDED}),
}


@dataclass(frozen=True)
class Chosen:
    """The runs to act on, in processing order, and the projects that they belong to."""

    run_ids: list[str]
    project_ids: frozenset[str]


@dataclass(frozen=True)
class Ordered:
    """The order; `replayed` if its key had already created it."""

    bulk: Bulk
    replayed: bool


class BulkKeys:
    """The keys of all bulk orders, each held for `seconds`."""

    def __init__(self, ledger: BulkLedger, seconds: int) -> None:
        self._ledger = ledger
        self._seconds = seconds

    def find(self, requester: Requester, now: datetime) -> tuple[str, Bulk | None]:
        """Return the id of an order under the requester's key, and the order holding it or None."""
        number = 0
        while True:
            bulk_id = _id_of(requester, number)
            held = self._ledger.find(bulk_id)
            if held is None or (now - held.created_at).total_seconds() < self._seconds:
                return bulk_id, held
            number += 1


def same(held: Bulk, asked: Bulk) -> Ordered:
    """Return the earlier order if it equals the requested one. Raises KeyReused."""
    if (held.action, held.wanted) != (asked.action, asked.wanted):
        raise KeyReused("This key already created another bulk action.", bulk_id=held.id)
    return Ordered(held, True)


def _id_of(requester: Requester, number: int) -> str:
    """Return the id of an order; `number` counts earlier ones that no longer hold the key."""
    text = json.dumps([requester.person_id, requester.key, number])
    digest = hashlib.sha256(text.encode()).digest()
    return mint_control_id("bulk", at_ms=int.from_bytes(digest[10:16], "big"), entropy=digest)


def runs_meant(stores: Stores, action: BulkAction, wanted: RunFilter) -> Chosen:
    """Choose the runs to act on. Raises Invalid."""
    # an empty list of states would match any
    if not (statuses := [one for one in CAN_BE[action] if one in (wanted.statuses or Status)]):
        return Chosen([], frozenset())
    meant = replace(wanted, statuses=statuses, is_last_try=action is BulkAction.RETRY)
    # keep only what is needed of each of thousands of rows
    found: list[tuple[str, bool]] = []
    projects: set[str] = set()
    cursor: str | None = ""
    while cursor is not None:
        page = list_runs(stores, meant, limit=AT_ONCE, cursor=cursor)
        if page.looked_among is not None:
            # runs that were not examined might match, too
            raise Invalid.field("filter", NOT_ALL.format(page.looked_among))
        found += [(run.id, run.status in WAITING) for run in page.items]
        projects.update(run.project_id for run in page.items)
        if len(found) > MAX_RUNS:
            raise Invalid.field("filter", f"More than {MAX_RUNS} runs: narrow the filter.")
        cursor = page.next_cursor
    if action is BulkAction.RETRY:
        found.reverse()
    else:
        # live runs first; then waiting ones, newest first, before they start
        found.sort(key=lambda one: one[1])
    return Chosen([run_id for run_id, _ in found], frozenset(projects))
