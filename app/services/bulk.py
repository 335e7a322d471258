"""Stop or retry for many runs: frozen when it is ordered, done one by one, safe over restarts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.domain.batches import BulkAction, BulkState, BulkStatus
from app.domain.lifecycle import DONE, WAITING
from app.domain.words import Status, Trigger
from app.errors import AlreadyEnded, ConcurrencyLimit, Invalid, NotFound, RateLimited, Refusal
from app.failpoints import reach
from app.records.bulk_ledger import BulkLedger
from app.records.feed import Numbered, RunChanged
from app.records.run_ledger import RunLedger
from app.records.run_pages import list_runs
from app.records.run_walks import RunFilter
from app.records.tables import Batch, Bulk, BulkItem, Run
from app.services.batches import BatchDesk
from app.services.quarantine import Quarantine, Subject
from app.services.retry import RetryDesk, Wishes
from app.services.run_locks import Locks
from app.services.stopping import Stopper
from app.services.submits import Asker
from app.services.workers import Workers

log = logging.getLogger(__name__)
MAX_RUNS = 10_000
PAGE = 100
FAULT = "Something went wrong in Runyard; it is tried again."
FAULT_FOR_GOOD = "Something went wrong in Runyard, again and again; the log has the details."


@dataclass(frozen=True)
class Hands:
    """Through whom everything is done: the ways that a single run goes, too."""

    runs: RunLedger
    stopper: Stopper
    retry: RetryDesk
    batches: BatchDesk
    end_unsealed: Callable[[], None]


class BulkDesk:
    """Orders for many runs, and who carries them out."""

    def __init__(
        self,
        ledger: BulkLedger,
        hands: Hands,
        locks: Locks,
        workers: Workers,
        clock: Callable[[], datetime],
        provenance: dict[str, str],
        quarantine: Quarantine,
    ) -> None:
        self.ledger = ledger
        self._hands = hands
        self._locks = locks
        self._workers = workers
        self._clock = clock
        self._provenance = provenance
        self._quarantine = quarantine
        self._guard = threading.Lock()
        self._is_wanted = False
        self._is_running = False
        self._waits = False

    def find(self, bulk_id: str) -> Bulk:
        """One order. Raises NotFound."""
        bulk = self.ledger.find(bulk_id)
        if bulk is None:
            raise NotFound
        return bulk

    def order(
        self, action: BulkAction, wanted: RunFilter, because: str, asker: Asker, now: datetime
    ) -> Bulk:
        """Freeze which runs it is about, and begin. Raises Invalid where no filter is named."""
        bulk = self._add(action, wanted, because, asker, now)
        self.request()
        return bulk

    def _add(
        self, action: BulkAction, wanted: RunFilter, because: str, asker: Asker, now: datetime
    ) -> Bulk:
        asked = {name: it for name, it in wanted.__dict__.items() if it}
        if not asked:
            raise Invalid.field("filter", "Say which runs: name a project, a batch or a state.")
        bulk = Bulk(
            id=self.ledger.stores.mint_control_id("bulk", now),
            action=action,
            wanted={**asked, "statuses": [*wanted.statuses], "because": because},
            status=BulkStatus.PROCESSING,
            correlation_id=asker.correlation_id,
            created_by=asker.person_id,
            created_at=now,
        )
        run_ids = self._frozen(action, wanted)
        if not run_ids:
            bulk.status, bulk.ended_at = BulkStatus.COMPLETED, now
        self.ledger.insert(bulk, run_ids)
        return bulk

    def abort(self, bulk_id: str, now: datetime) -> Bulk:
        """Leave what is not done yet as it is. Raises NotFound, AlreadyEnded."""
        self.find(bulk_id)
        if not self.ledger.end(bulk_id, BulkStatus.ABORTED, now):
            raise AlreadyEnded("This is over already.")
        return self.find(bulk_id)

    def stop_batch(self, batch_id: str, because: str, asker: Asker, now: datetime) -> Batch:
        """Abort a batch and stop whatever it has running or waiting. Raises AlreadyEnded."""
        batches = self._hands.batches
        batch = batches.find(batch_id)
        if batch.ended_at is not None:
            raise AlreadyEnded("This batch has already ended.")
        stop = (BulkAction.STOP, RunFilter(batch_id=batch_id), because, asker, now)
        if batch.sealed_at is not None:
            # first who stops its runs: of a batch that is aborted nobody would
            self._add(*stop)
        if not batches.ledger.abort(batch, now, because):
            raise AlreadyEnded("This batch has already ended.")
        aborted = batches.find(batch_id)
        if aborted.sealed_at is None:
            self._hands.end_unsealed()
        elif batch.sealed_at is None:
            self._add(*stop)
        self.request()
        return batches.find(batch_id)

    def _frozen(self, action: BulkAction, wanted: RunFilter) -> list[str]:
        found: list[Run] = []
        cursor = None
        while True:
            page = list_runs(self.ledger.stores, wanted, limit=PAGE, cursor=cursor)
            found += [run for run in page.items if _is_meant(action, run)]
            if len(found) > MAX_RUNS:
                raise Invalid.field("filter", f"More than {MAX_RUNS} runs: narrow the filter.")
            cursor = page.next_cursor
            if cursor is None:
                break
        if action is BulkAction.RETRY:
            return [run.id for run in reversed(found)]
        # what works is stopped first, then what came last, before it begins
        return [run.id for run in sorted(found, key=lambda run: run.status in WAITING)]

    # --- carried out ---------------------------------------------------------------------------

    def request(self) -> None:
        """Go on soon; whoever asks while it goes on makes it go round once more."""
        with self._guard:
            self._is_wanted = True
            if self._is_running:
                return
            self._is_running = True
        self._workers.submit(self._go_round)

    def hear(self, told: Numbered) -> None:
        """A run that changed may have made room for one that waits."""
        if self._waits and isinstance(told.change, RunChanged):
            self._waits = False
            self.request()

    def _go_round(self) -> None:
        while True:
            with self._guard:
                if not self._is_wanted:
                    self._is_running = False
                    return
                self._is_wanted = False
            try:
                self.go_on_once()
            except Exception:
                log.exception("what is done to many runs was not finished; it is tried again")

    def go_on_once(self) -> int:
        """Do what can be done now; how many runs were settled."""
        settled = 0
        for bulk in self.ledger.unfinished():
            with self._locks.holding(f"bulk {bulk.id}", wait=False) as is_ours:
                if is_ours:
                    settled += self._go_on(bulk)
        return settled

    def _go_on(self, bulk: Bulk) -> int:
        after, settled, hold, full = -1, 0, None, set[str]()
        while items := self.ledger.items(bulk.id, after=after, limit=PAGE, only_pending=True):
            for item in items:
                after = item.position
                if self.find(bulk.id).ended_at is not None:
                    return settled
                reason = self._settle_guarded(bulk, item, full)
                hold, settled = hold or reason, settled + (reason is None)
        if hold is None:
            self.ledger.end(bulk.id, BulkStatus.COMPLETED, self._clock())
        else:
            self.ledger.note_hold(bulk.id, hold)
            self._waits = True
        return settled

    def _settle_guarded(self, bulk: Bulk, item: BulkItem, full: set[str]) -> str | None:
        # one that fails by a fault of ours keeps no other waiting, and is refused in the end
        subject = Subject("bulk", f"{bulk.id}.{item.position}", bulk.id)
        try:
            hold = self._settle(bulk, item, full)
        except Exception as problem:
            log.exception("what is done to run %s failed", item.run_id)
            if not self._quarantine.count(subject, problem):
                return FAULT
            self.ledger.settle(item, BulkState.REFUSED, FAULT_FOR_GOOD)
            hold = None
        if hold is None:
            self._quarantine.drop(subject.key)
        return hold

    def _settle(self, bulk: Bulk, item: BulkItem, full: set[str]) -> str | None:
        """Do it to one run; what it waits for where it could not be done yet."""
        run = self._hands.runs.find(item.run_id)
        if run is None:
            self.ledger.settle(item, BulkState.REFUSED, "This run is gone.")
            return None
        if full & {run.project_id, bulk.created_by}:
            return bulk.hold or "waits with those before it"
        try:
            new_run_id = self._do(bulk, item, run)
        except (ConcurrencyLimit, RateLimited) as refusal:
            full.add(run.project_id if isinstance(refusal, ConcurrencyLimit) else bulk.created_by)
            return refusal.detail
        except Refusal as refusal:
            if refusal.status >= 500:
                return refusal.detail
            self.ledger.settle(item, BulkState.REFUSED, refusal.detail)
        else:
            reach("bulk_done")
            self.ledger.settle(item, BulkState.DONE, None, new_run_id)
        return None

    def _do(self, bulk: Bulk, item: BulkItem, run: Run) -> str | None:
        now = self._clock()
        if bulk.action == BulkAction.STOP:
            self._hands.stopper.stop(run.id, bulk.wanted["because"], now)
            return None
        if run.retried_by is not None:
            return run.retried_by
        key = f"{bulk.id}.{item.position}"
        asker = Asker(bulk.created_by, Trigger.RETRY, key, bulk.correlation_id, self._provenance)
        return self._hands.retry.retry(run.id, Wishes(), asker, now).run.id


def _is_meant(action: BulkAction, run: Run) -> bool:
    if action is BulkAction.STOP:
        return run.status not in DONE
    is_over = run.status in DONE and run.status != Status.SUCCEEDED
    return is_over and run.retried_by is None
