"""Filling a batch: a stream of items, each accepted like any other run or refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session

from app.domain.agents import prompts
from app.domain.batches import BatchStatus
from app.domain.lifecycle import Signal
from app.domain.words import Cause, Depth, Trigger
from app.errors import AlreadyEnded, ForgeUnavailable, Invalid, Refusal
from app.failpoints import failpoint
from app.records.batches import batch_ledger
from app.records.batches.batch_ledger import BatchLedger
from app.records.database.database import Transaction
from app.records.projects.project_ledger import ProjectLedger
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Batch, Project, Run
from app.services.runs.accept import AcceptService
from app.services.runs.requests import Requester, RunRequest, Settled, draft_run, model_for


class RefusedItems:
    """Inserts refused batch items as ended runs, leaving out values that no run could hold."""

    def __init__(self, runs: RunLedger, projects: ProjectLedger) -> None:
        self._runs = runs
        self._projects = projects

    def knows(self, run_id: str) -> bool:
        """Return True if there is a run with this id."""
        return self._runs.find(run_id) is not None

    def insert(
        self,
        tx: Transaction,
        batch: Batch,
        order: RunRequest | None,
        because: str,
        requester: Requester,
        now: datetime,
        cause: Cause = Cause.LAUNCH_FAILED,
    ) -> Run:
        """Insert a refused run and end it at once."""
        run = self._draft(batch, order, requester, now)
        self._runs.insert(tx, run, sentence="batch")
        moved = self._runs.move(
            tx,
            run,
            Signal.REFUSED,
            now=now,
            kind="reaped",
            sentence=because,
            cause=cause,
            because=because,
            released_at=now,
        )
        return moved or run

    def _draft(
        self, batch: Batch, order: RunRequest | None, requester: Requester, now: datetime
    ) -> Run:
        project = self._projects.find(batch.project_id)
        order = order or RunRequest(batch.project_id, Depth.STANDARD, "auto")
        run_id = self._runs.stores.mint_run_id(now, beside=batch.id)
        brief = prompts.Brief("", order.depth, order.framework, order.delivers, order.task)
        settled = Settled(
            run_id=run_id,
            project_id=batch.project_id,
            batch_id=batch.id,
            title=prompts.title_of(brief) if order.issue is None else f"Issue #{order.issue}",
            branch=order.branch or (project.base_branch if project else ""),
            # not the issue's branch: it has claimed none
            work_branch=f"run/{run_id}",
            agent=order.agent or (project.agent if project else ""),
            model=model_for(order, project),
            budget_seconds=project.budget_seconds if project else 0,
        )
        run = draft_run(order, _of_item(requester), settled, now)
        run.announce = bool(order.issue and project and project.forge_id)
        return run


@dataclass(frozen=True)
class Item:
    """A line of a batch upload: the order, or why it is invalid."""

    index: int
    order: RunRequest | None
    because: str = ""
    cause: Cause = Cause.LAUNCH_FAILED


@dataclass(frozen=True)
class Taken:
    """The result of a line: `accepted`, `deduplicated` or `not_started`."""

    index: int
    status: str
    run_id: str
    because: str | None = None


class _There(Exception):
    """Raised if the index was filled concurrently."""


class Filling:
    """One upload of batch items. Each external lookup is made once and shared by all items."""

    def __init__(
        self,
        ledger: BatchLedger,
        accept: AcceptService,
        refused: RefusedItems,
        batch: Batch,
        requester: Requester,
    ) -> None:
        self.batch = batch
        self._ledger = ledger
        self._accept = accept.asking_once()
        self._refused = refused
        self._requester = requester
        # one result per index and status: a stream of duplicates must not fill the memory
        self._taken: dict[tuple[int, str], Taken] = {}
        # only the sentence: an exception would keep its item in memory
        self._undecided: dict[int, str] = {}

    @property
    def taken(self) -> list[Taken]:
        """The results so far, in order of arrival."""
        return list(self._taken.values())

    def take(self, item: Item, now: datetime) -> Taken | None:
        """Take one item: insert a waiting run, or one that records why it is not started.

        Return None if it could not be decided: the item is not in the batch, and `append_undecided`
        raises for it. Raises Invalid for an index outside the batch, AlreadyEnded for an aborted
        batch, and database errors.
        """
        if item.index >= self.batch.run_count:
            most = self.batch.run_count - 1
            raise Invalid.field("index", f"The batch has the indexes 0 to {most}.")
        try:
            taken = self._take_once(item, now)
        except ForgeUnavailable as silence:
            self._undecided[item.index] = silence.detail
            return None
        self._undecided.pop(item.index, None)
        return self._taken.setdefault((taken.index, taken.status), taken)

    def append_undecided(self) -> None:
        """Raise ForgeUnavailable if items could not be decided; only those must be sent again."""
        if self._undecided:
            first, *_ = self._undecided.values()
            left = sorted(self._undecided)
            sentence = f"{first} The accepted items are kept; {len(left)} are still missing."
            raise ForgeUnavailable(sentence, indexes=left)

    def _take_once(self, item: Item, now: datetime) -> Taken:
        there = self._ledger.run_at(self.batch.id, item.index)
        if there is not None:
            return Taken(item.index, "deduplicated", there)
        failpoint(f"batch_item.{item.index}")
        try:
            return self._take_new(item, now)
        except _There:
            there = self._ledger.run_at(self.batch.id, item.index) or ""
            return Taken(item.index, "deduplicated", there)

    def _take_new(self, item: Item, now: datetime) -> Taken:
        if item.order is None:
            return self._refuse(item, item.because, now, item.cause)
        batch = self.batch
        requester = _of_item(self._requester)
        order = replace(item.order, project_id=batch.project_id, batch_id=batch.id)

        def still(session: Session, _: Project) -> None:
            _must_be_free(session, batch, item.index)

        def also(tx: Transaction, run: Run) -> None:
            self._ledger.add_item(tx, batch.id, item.index, run.id)

        try:
            run = self._accept.accept(order, requester, now, still=still, also=also).run
        except AlreadyEnded:
            raise
        except Refusal as refusal:
            if refusal.status >= 500:
                raise
            return self._refuse(item, refusal.detail, now)
        return Taken(item.index, "accepted", run.id)

    def _refuse(
        self, item: Item, because: str, now: datetime, cause: Cause = Cause.LAUNCH_FAILED
    ) -> Taken:
        batch = self.batch
        with self._ledger.stores.owner_of(batch.id).transaction() as tx:
            _must_be_free(tx, batch, item.index)
            run = self._refused.insert(tx, batch, item.order, because, self._requester, now, cause)
            self._ledger.add_item(tx, batch.id, item.index, run.id)
        return Taken(item.index, "not_started", run.id, because)


def _of_item(requester: Requester) -> Requester:
    """Return who asks for an item: the key and the quota are the upload's."""
    return replace(requester, trigger=Trigger.BATCH, key=None, is_charged=False)


def refuse_aborted(batch: Batch) -> None:
    """Refuse to fill an aborted batch. Raises AlreadyEnded."""
    if batch.status == BatchStatus.ABORTED:
        raise AlreadyEnded(f"This batch was aborted: {batch.because}.")


def _must_be_free(session: Session, batch: Batch, index: int) -> None:
    row = session.get(Batch, batch.id, with_for_update=True)
    if row is None:
        raise AlreadyEnded("This batch no longer exists.")
    refuse_aborted(row)
    if batch_ledger.run_at(session, batch.id, index) is not None:
        raise _There
