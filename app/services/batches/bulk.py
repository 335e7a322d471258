"""Bulk stop and retry: runs frozen when ordered, handled one by one, safe across restarts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import structlog

from app.domain.batches import BulkAction, BulkState, BulkStatus
from app.domain.formatting import iso
from app.domain.words import Status, Trigger
from app.errors import AlreadyEnded, ConcurrencyLimit, Invalid, NotFound, RateLimited, Refusal
from app.failpoints import failpoint
from app.records.batches.bulk_ledger import BulkLedger, BulkPage, list_items
from app.records.database.cursors import BadCursor
from app.records.database.database import DatabaseSilent
from app.records.feed import Numbered, RunChanged
from app.records.runs.quarantine_ledger import Subject
from app.records.runs.run_ledger import RunLedger
from app.records.runs.run_pages import RunFilter
from app.records.tables import Bulk, BulkItem, Run
from app.services.batches.bulk_orders import BulkKeys, Ordered, runs_meant, same
from app.services.concurrency import SingleFlight
from app.services.context import Context
from app.services.kept.retry import AlreadyRepeated, RetryService
from app.services.lifecycle.stop import Stopper
from app.services.runs.accept import AcceptService
from app.services.runs.requests import Requester
from app.services.system.quarantine import Quarantine

log = structlog.get_logger()
PAGE = 100
WINDOW_FULL = "Rate limit reached. Resumes when the quota allows."
SILENT = "The database is not responding; resumes when it is back."
FAULT = "Something went wrong in Runyard; retrying."
FAULT_FOR_GOOD = "Something went wrong in Runyard repeatedly; the log has the details."


@dataclass
class PassState:
    """State of one pass over a bulk order: what is full, and which items got no answer.

    `stuck_at` is the position of the last item that got none.
    """

    bulk: Bulk
    stuck_at: int = -1
    _full: set[str] = field(default_factory=set[str])
    _asked_in_vain: set[str] = field(default_factory=set[str])

    def add_full_window(self) -> None:
        """Note that the quota of the person who gave the order is full."""
        self._full.add(self.bulk.created_by)

    def add_full(self, run: Run) -> None:
        """Note that the project of a run is full."""
        self._full.add(run.project_id)

    def add_unanswered(self, position: int, run: Run) -> None:
        """Note that a tracker or an origin did not answer for a run."""
        # the first may concern that run alone; a second one means the whole project
        if run.project_id in self._asked_in_vain:
            self.add_full(run)
        self._asked_in_vain.add(run.project_id)
        self.stuck_at = position

    def passes_over(self, run: Run | None) -> bool:
        """Return True if nothing can be done to a run in this pass."""
        return run is not None and run.project_id in self._full

    @property
    def is_over(self) -> bool:
        """True if the whole order is blocked, by the person's quota or by its only project."""
        wanted = self.bulk.wanted
        is_of_one = bool(wanted.get("project_id") or wanted.get("batch_id"))
        return self.bulk.created_by in self._full or (is_of_one and bool(self._full))


@dataclass(frozen=True)
class BulkActions:
    """The services that act on a single run; a bulk order goes through the same ones."""

    runs: RunLedger
    stopper: Stopper
    retry: RetryService
    accept: AcceptService


class BulkService:
    """Accepts bulk orders and carries them out."""

    def __init__(
        self,
        context: Context,
        ledger: BulkLedger,
        keys: BulkKeys,
        actions: BulkActions,
        quarantine: Quarantine,
    ) -> None:
        self._ledger = ledger
        self._keys = keys
        self._actions = actions
        self._locks = context.locks
        self._clock = context.clock
        self._provenance = context.identity.as_dict()
        self._quarantine = quarantine
        self._workers = context.workers
        self._rounds = SingleFlight(self._go_round)
        # full projects that pending items wait for
        self._crowded: set[str] = set()
        # by order id, the last item that got no answer: the next pass begins after it
        self._stuck_at: dict[str, int] = {}

    def newest(self, limit: int) -> list[Bulk]:
        """Return the newest orders, newest first."""
        return self._ledger.newest(limit)

    def counts(self, bulk_id: str) -> dict[str, int]:
        """Return the number of an order's items in each state."""
        return self._ledger.counts(bulk_id)

    def find(self, bulk_id: str) -> Bulk:
        """Return one order. Raises NotFound."""
        bulk = self._ledger.find(bulk_id)
        if bulk is None:
            raise NotFound
        return bulk

    def page(self, bulk_id: str, *, limit: int, cursor: str | None) -> BulkPage:
        """Return one page of an order's runs. Raises NotFound, and Invalid for a foreign cursor."""
        self.find(bulk_id)
        try:
            return list_items(self._ledger.stores, bulk_id, limit=limit, cursor=cursor)
        except BadCursor as error:
            raise Invalid.field("cursor", "This cursor was not made by this server.") from error

    def order(
        self,
        action: BulkAction,
        wanted: RunFilter,
        because: str,
        requester: Requester,
        now: datetime,
        allow: Callable[[Collection[str]], None] = lambda _: None,
    ) -> Ordered:
        """Freeze the set of matching runs and begin, or return the order its key created.

        Raises KeyReused, Invalid without a filter, and what `allow` raises for their projects.
        """
        asked = {
            name: iso(it) if isinstance(it, datetime) else it
            for name, it in wanted.__dict__.items()
            if it
        }
        if not asked:
            raise Invalid.field("filter", "Choose runs: name a project, a batch or a state.")
        bulk = Bulk(
            id="",
            action=action,
            wanted={**asked, "statuses": [*wanted.statuses], "because": because},
            status=BulkStatus.PROCESSING,
            correlation_id=requester.correlation_id,
            created_by=requester.person_id,
            created_at=now,
        )
        if requester.key is None:
            bulk.id = self._ledger.stores.mint_control_id("bulk", now)
            return self._add(bulk, wanted, allow)
        with self._locks.holding(f"bulk key {requester.person_id} {requester.key}"):
            bulk.id, held = self._keys.find(requester, now)
            return same(held, bulk) if held else self._add(bulk, wanted, allow)

    def _add(
        self, bulk: Bulk, wanted: RunFilter, allow: Callable[[Collection[str]], None]
    ) -> Ordered:
        chosen = runs_meant(self._ledger.stores, BulkAction(bulk.action), wanted)
        allow(chosen.project_ids)
        if not chosen.run_ids:
            bulk.status, bulk.ended_at = BulkStatus.COMPLETED, bulk.created_at
        self._ledger.insert(bulk, chosen.run_ids)
        self.request()
        return Ordered(bulk, False)

    def projects_of(self, bulk_id: str) -> set[str | None]:
        """Return the projects of an order's runs; None stands for runs not found.

        Raises NotFound.
        """
        self.find(bulk_id)
        projects: set[str | None] = set()
        after = -1
        while items := self._ledger.items(bulk_id, after=after, limit=PAGE):
            runs = self._actions.runs.find_all(item.run_id for item in items)
            projects |= {run.project_id for run in runs.values()}
            projects |= {None} if len(runs) < len(items) else set()
            after = items[-1].position
        return projects

    def abort(self, bulk_id: str, now: datetime) -> Bulk:
        """Abort an order; items not done yet stay as they are. Raises NotFound, AlreadyEnded."""
        self.find(bulk_id)
        if not self._ledger.end(bulk_id, BulkStatus.ABORTED, now):
            raise AlreadyEnded("This bulk action has already ended.")
        return self.find(bulk_id)

    # --- carried out ---------------------------------------------------------------------------

    def request(self) -> None:
        """Request a pass soon; a request during a pass causes another one."""
        self._rounds.request(self._workers)

    def on_change(self, told: Numbered) -> None:
        """Request a pass if a changed run may have made room in a full project."""
        change = told.change
        if isinstance(change, RunChanged) and change.project_id in self._crowded:
            self._crowded.discard(change.project_id)
            self.request()

    def _go_round(self, _: str) -> None:
        try:
            self.continue_once()
        except DatabaseSilent as silence:
            log.warning("bulk_orders_postponed", because=silence)

    def continue_once(self) -> int:
        """Do what can be done now; return how many runs were settled."""
        settled = 0
        self._crowded.clear()
        unfinished = self._ledger.unfinished()
        self._stuck_at = {one.id: self._stuck_at.get(one.id, -1) for one in unfinished}
        for bulk in unfinished:
            with self._locks.holding(f"bulk {bulk.id}", wait=False) as is_ours:
                if is_ours:
                    settled += self._continue(bulk)
        return settled

    def _continue(self, bulk: Bulk) -> int:
        hold, settled, met = None, 0, PassState(bulk, self._stuck_at.get(bulk.id, -1))
        try:
            for item, run in self._pending(bulk.id, met.stuck_at):
                if met.passes_over(run):
                    continue
                if self.find(bulk.id).ended_at is not None:
                    return settled
                reason = self._settle_guarded(item, run, met)
                hold, settled = hold or reason, settled + (reason is None)
                if met.is_over:
                    break
        except DatabaseSilent as silence:
            # the other items would fail the same way
            log.warning("bulk_order_postponed", bulk_id=bulk.id, because=silence)
            hold = SILENT
        self._stuck_at[bulk.id] = met.stuck_at
        if hold is None:
            self._ledger.end(bulk.id, BulkStatus.COMPLETED, self._clock())
        elif hold != bulk.hold:
            self._ledger.set_hold(bulk.id, hold)
        return settled

    def _pending(self, bulk_id: str, stuck_at: int) -> Iterator[tuple[BulkItem, Run | None]]:
        """Yield pending items in order, with their runs (read at most a page ago).

        Items up to and including `stuck_at` come last.
        """
        yield from self._walk(bulk_id, stuck_at, None)
        if stuck_at >= 0:
            yield from self._walk(bulk_id, -1, stuck_at)

    def _walk(
        self, bulk_id: str, after: int, last: int | None
    ) -> Iterator[tuple[BulkItem, Run | None]]:
        read = partial(self._ledger.items, bulk_id, last=last, limit=PAGE, only_pending=True)
        while items := read(after=after):
            runs = self._actions.runs.find_all(item.run_id for item in items)
            yield from ((item, runs.get(item.run_id)) for item in items)
            after = items[-1].position

    def _settle_guarded(self, item: BulkItem, run: Run | None, met: PassState) -> str | None:
        # an internal error must not block the others, and becomes a refusal in the end
        subject = Subject("bulk", f"{item.bulk_id}.{item.position}", item.bulk_id)
        try:
            hold = self._settle(item, run, met)
        except DatabaseSilent:
            raise
        except Exception as problem:
            log.exception("bulk_item_failed", run_id=item.run_id)
            if not self._quarantine.count(subject, problem):
                return FAULT
            self._ledger.settle(item, BulkState.REFUSED, FAULT_FOR_GOOD)
            hold = None
        if hold is None:
            self._quarantine.drop(subject.key)
        return hold

    def _settle(self, item: BulkItem, run: Run | None, met: PassState) -> str | None:
        """Act on one run; return the reason to wait if it could not be done yet."""
        if run is None:
            self._ledger.settle(item, BulkState.REFUSED, "This run no longer exists.")
            return None
        try:
            new_run_id = self._do(met.bulk, item, run)
        except RateLimited:
            met.add_full_window()
            return WINDOW_FULL
        except ConcurrencyLimit as refusal:
            met.add_full(run)
            self._crowded.add(run.project_id)
            return refusal.detail
        except Refusal as refusal:
            if refusal.status >= 500:
                met.add_unanswered(item.position, run)
                return refusal.detail
            self._ledger.settle(item, BulkState.REFUSED, refusal.detail)
        else:
            failpoint("bulk_done")
            self._ledger.settle(item, BulkState.DONE, None, new_run_id)
        return None

    def _do(self, bulk: Bulk, item: BulkItem, run: Run) -> str | None:
        now = self._clock()
        if bulk.action == BulkAction.STOP:
            self._stop(bulk, run, now)
            return None
        if run.retried_by is not None:
            return run.retried_by
        key = f"{bulk.id}.{item.position}"
        requester = Requester(
            bulk.created_by, Trigger.RETRY, key, bulk.correlation_id, self._provenance
        )
        self._actions.accept.refuse_full(run.project_id, requester, now)
        try:
            return self._actions.retry.retry_once(run.id, requester, now).run.id
        except AlreadyRepeated as repeated:
            return repeated.run_id

    def _stop(self, bulk: Bulk, run: Run, now: datetime) -> None:
        because = bulk.wanted["because"]
        try:
            self._actions.stopper.stop(run.id, because, now)
        except AlreadyEnded:
            # ended by this very order: a crash came before the item's result was written
            if not _is_stopped_by(bulk, self._actions.runs.find(run.id) or run):
                raise


def _is_stopped_by(bulk: Bulk, run: Run) -> bool:
    is_alike = (run.status, run.because) == (Status.STOPPED, bulk.wanted["because"])
    return is_alike and run.ended_at is not None and run.ended_at >= bulk.created_at
