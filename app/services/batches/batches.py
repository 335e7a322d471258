"""Batches: created with a fixed size, filled item by item, sealed when complete (stores.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from app.domain.batches import BatchStatus
from app.domain.idempotency import KeyTerms
from app.domain.ids import is_run_id
from app.errors import AlreadyEnded, BatchOverQuota, Invalid, KeyReused, KeyTaken, NotFound
from app.failpoints import failpoint
from app.records.batches import batch_ledger
from app.records.batches.batch_ledger import (
    BatchLedger,
    BatchPage,
    ItemPage,
    Sums,
    list_batches,
    list_items,
)
from app.records.database.cursors import BadCursor
from app.records.people.audit_ledger import record
from app.records.tables import Batch
from app.services.batches.filling import Filling, RefusedItems, refuse_aborted
from app.services.batches.queue import BatchEnds
from app.services.context import Context
from app.services.limits.quota import FreePlace, Place, Places, QuotaWindow
from app.services.runs.accept import AcceptService
from app.services.runs.prechecks import Prechecks
from app.services.runs.requests import Requester


@dataclass(frozen=True)
class Opened:
    """The batch; `replayed` if its key had already created it."""

    batch: Batch
    replayed: bool


@dataclass(frozen=True)
class Receipt:
    """Progress of a batch: whether it is sealed, and items expected and received."""

    sealed: bool
    expected: int
    received: int


class BatchService:
    """Creates, fills and stops batches; every item is accepted like any other run."""

    def __init__(
        self,
        context: Context,
        ledger: BatchLedger,
        prechecks: Prechecks,
        accept: AcceptService,
        places: Places,
        ends: BatchEnds,
    ) -> None:
        self._ledger = ledger
        self._places = places
        self._prechecks = prechecks
        self._accept = accept
        self._refused = RefusedItems(context.ledgers.runs, context.ledgers.projects)
        settings = context.settings
        self._terms = KeyTerms(settings.key_hold_seconds, settings.key_ttl_seconds)
        self._ends = ends

    def find(self, batch_id: str) -> Batch:
        """Return one batch. Raises NotFound."""
        batch = self._ledger.find(batch_id)
        if batch is None:
            raise NotFound
        return batch

    def project_of(self, batch_id: str) -> str | None:
        """Return the id of a batch's project, None if there is no such batch."""
        batch = self._ledger.find(batch_id)
        return batch.project_id if batch is not None else None

    def page(self, project_id: str | None, *, limit: int, cursor: str | None) -> BatchPage:
        """Return one page of batches, newest first. Raises Invalid for a foreign cursor."""
        with _cursors_of_ours():
            return list_batches(
                self._ledger.stores, project_id=project_id, limit=limit, cursor=cursor
            )

    def items(
        self, batch_id: str, statuses: Sequence[str], *, limit: int, cursor: str | None
    ) -> ItemPage:
        """Return one page of a batch's items. Raises NotFound, and Invalid for a foreign cursor."""
        stores, batch = self._ledger.stores, self.find(batch_id)
        with _cursors_of_ours():
            return list_items(stores, batch.id, limit=limit, cursor=cursor, statuses=statuses)

    def window(self, person_id: str, now: datetime) -> QuotaWindow:
        """Return a person's quota window for batch items."""
        return self._places.window(person_id, now)

    # --- made ----------------------------------------------------------------------------------

    def open(
        self,
        project_id: str,
        run_count: int,
        parent: str | None,
        requester: Requester,
        now: datetime,
    ) -> Opened:
        """Create a batch and charge all its items, or return the one its key created.

        Raises a Refusal and writes nothing then.
        """
        body = json.dumps([project_id, run_count, parent])
        batch = Batch(
            id="",
            project_id=project_id,
            run_count=run_count,
            status=BatchStatus.PENDING,
            idempotency_key=requester.key,
            body_hash=hashlib.sha256(body.encode()).hexdigest(),
            parent_run_id=parent,
            correlation_id=requester.correlation_id,
            created_by=requester.person_id,
            created_at=now,
        )
        with self._ledger.stores.looking() as session:
            if held := self._holder(session, batch, now):
                return Opened(_same(held, batch), True)
        self._prechecks.project(project_id)
        self._must_be_run(parent)
        self._refuse_oversized(run_count, requester.person_id)
        batch.id = self._ledger.stores.mint_batch_id(now, beside=parent)
        with self._places.place(batch.created_by, batch.id, now, run_count) as place:
            if place.refusal is None:
                return self._insert(batch, place, now)
            # same order of checks as in the transaction: a replay comes before the quota
            with self._ledger.stores.looking() as session:
                if held := self._holder(session, batch, now):
                    return Opened(_same(held, batch), True)
            raise place.refusal

    def _insert(self, batch: Batch, place: Place | FreePlace, now: datetime) -> Opened:
        with self._ledger.stores.spanning(batch.id, "batch") as tx:
            if held := self._holder(tx, batch, now):
                return Opened(_same(held, batch), True)
            batch_ledger.free_key(tx, batch.project_id, batch.idempotency_key)
            place.charge(tx)
            self._prechecks.project(batch.project_id, tx)
            self._ledger.insert(tx, batch)
            record(tx, batch.id, after={"run_count": batch.run_count})
        place.keep()
        return Opened(batch, False)

    def _refuse_oversized(self, items: int, person_id: str) -> None:
        """Refuse a batch larger than the quota can ever admit. Raises BatchOverQuota."""
        limit = self._places.limit_of(person_id)
        # with none at all, the place says so
        if items > limit.places > 0:
            raise BatchOverQuota(
                f"A batch may have at most {limit.places} items; this one has {items}.",
                limit=limit.places,
                own_limit=self._places.told(limit),
            )

    def _holder(self, session: Session, asked: Batch, now: datetime) -> Batch | None:
        found = batch_ledger.find_by_key(session, asked.project_id, asked.idempotency_key)
        return next((held for held in found if not self._is_given_back(held, now)), None)

    def _must_be_run(self, parent: str | None) -> None:
        if parent is not None and (not is_run_id(parent) or not self._refused.knows(parent)):
            raise Invalid.field("parent_run_id", "There is no run with that id.")

    def _is_given_back(self, held: Batch, now: datetime) -> bool:
        age = (now - held.created_at).total_seconds()
        if held.ended_at is None:
            return False
        is_spent = held.status == BatchStatus.ABORTED and age >= self._terms.hold_seconds
        return is_spent or age >= self._terms.ttl_seconds

    # --- filled --------------------------------------------------------------------------------

    def counts(self, batch_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """Return the number of runs in each status, by batch id."""
        return self._ledger.counts(batch_ids)

    def sums(self, batch_id: str) -> Sums:
        """Return the sums over a batch's runs."""
        return self._ledger.sums(batch_id)

    def missing(self, batch: Batch) -> list[int]:
        """Return the indexes of the items that have not arrived."""
        return self._ledger.missing(batch)

    def fill(self, batch_id: str, requester: Requester) -> Filling:
        """Return an upload of items. Raises NotFound, and AlreadyEnded if the batch was aborted."""
        batch = self.find(batch_id)
        if batch.sealed_at is None:
            refuse_aborted(batch)
        return Filling(self._ledger, self._accept, self._refused, batch, requester)

    def seal(self, batch_id: str, now: datetime) -> Receipt:
        """Seal a batch if it is complete, and return its progress. Raises NotFound."""
        batch = self.find(batch_id)
        missing = len(self._ledger.missing(batch))
        if not missing:
            self._ledger.seal(batch, now)
        is_sealed = not missing and self.find(batch_id).sealed_at is not None
        return Receipt(is_sealed, batch.run_count, batch.run_count - missing)

    # --- ended ---------------------------------------------------------------------------------

    def stop(self, batch_id: str, because: str, now: datetime) -> Batch:
        """Abort a batch and end its waiting and live runs. Raises NotFound, AlreadyEnded."""
        if not self._ledger.abort(self.find(batch_id), now, because):
            raise AlreadyEnded("This batch has already ended.")
        failpoint("batch_aborted")
        self._ends.request()
        return self.find(batch_id)


def _same(held: Batch, asked: Batch) -> Batch:
    if held.created_by != asked.created_by:
        raise KeyTaken
    if held.body_hash != asked.body_hash:
        raise KeyReused("This key already created another batch.", batch_id=held.id)
    return held


@contextmanager
def _cursors_of_ours() -> Generator[None]:
    try:
        yield
    except BadCursor as error:
        raise Invalid.field("cursor", "This cursor was not made by this server.") from error
