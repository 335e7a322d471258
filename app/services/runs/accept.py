"""Accepting a run: all checks first, then one short transaction that inserts it or refuses."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from sqlmodel import Session

from app.domain.agents import prompts
from app.domain.issues import branch_of_issue
from app.domain.words import Status
from app.errors import (
    BeingReleased,
    ConcurrencyLimit,
    NoPlaces,
    NotFound,
    Parked,
    RateLimited,
    Refusal,
)
from app.failpoints import failpoint
from app.records.database.database import Transaction
from app.records.feed import RunAccepted
from app.records.runs import run_ledger
from app.records.runs.accept_guards import Guards, note_added, read_guards
from app.records.runs.handover_ledger import HandoverLedger
from app.records.runs.order_facts import read_order_facts
from app.records.runs.parked_ledger import ParkedLedger
from app.records.runs.run_ledger import RunLedger
from app.records.runs.run_statements import is_active
from app.records.stores.identity import refuse_place
from app.records.stores.shared_transactions import SharedTransactions
from app.records.tables import Project, Run
from app.services.approvals.starts import asking
from app.services.limits.quota import FreePlace, Place, Places, refusal_of
from app.services.ports import Change
from app.services.runs.idempotency import Keys, Sent
from app.services.runs.open_runs import refuse_locked, refuse_twin
from app.services.runs.prechecks import Checked, Prechecks, opened, refuse_closed
from app.services.runs.requests import (
    TEMPLATE,
    Accepted,
    Also,
    Requester,
    RunRequest,
    Settled,
    Still,
    accepted_data,
    accepted_words,
    draft_run,
    has_open_change,
    may_have_twin,
    model_for,
    needs_approval,
)
from app.services.system.outbox import OutboxProcessor
from app.services.tracing import unit_of_work

INCOMPLETE = "waits until the batch is complete"


@dataclass(frozen=True)
class _Ready:
    """A run that passed every check that needs no lock; `sent` is its idempotency key, if any."""

    run: Run
    in_the_way: str | None
    sent: Sent | None
    may_have_twin: bool
    project: Project
    stills: tuple[Still, ...]
    also: Also | None = None


@dataclass(frozen=True)
class Rehearsed:
    """An order that would be accepted now, if quota and limits allow it."""

    project: Project
    checked: Checked


class AcceptService:
    """The single entry point for accepting runs, from every trigger."""

    def __init__(
        self,
        runs: RunLedger,
        prechecks: Prechecks,
        places: Places,
        keys: Keys,
        outbox: OutboxProcessor,
        has_room: Callable[[str, int], bool] = lambda project_id, most: False,
    ) -> None:
        self._runs = runs
        self._outbox = outbox
        self._handovers = HandoverLedger(runs)
        self._parked = ParkedLedger(runs)
        self._prechecks = prechecks
        self._places = places
        self._keys = keys
        # True if there is certainly room in the project, known without reading rows
        self._has_room = has_room
        stores = runs.stores
        # runs that are accepted at the same time are written together, by the store they live in
        self._shared = {
            one: SharedTransactions(partial(stores.writing_to, one, "accept"), Refusal)
            for one in stores.all()
        }

    def asking_once(self) -> AcceptService:
        """Return a copy for many orders in one call: external lookups are made once and shared."""
        shared = copy(self)
        shared._prechecks = self._prechecks.asking_once()
        return shared

    def replay(self, order: RunRequest, requester: Requester, now: datetime) -> Accepted | None:
        """Return the run that this order already created under its key, or None.

        Raises KeyTaken, KeyReused.
        """
        with self._runs.stores.looking() as session:
            return self.known_in(session, order, requester, now)

    def known_in(
        self, session: Session, order: RunRequest, requester: Requester, now: datetime
    ) -> Accepted | None:
        """Do the same as `replay`, as a session sees it."""
        sent = _sent(order, requester)
        replayed = self._keys.known_in(session, sent, now) if sent else None
        return Accepted(replayed, True) if replayed is not None else None

    def wrong(
        self, project_id: str, agent: str | None, framework: str | None, branch: str | None
    ) -> dict[str, str]:
        """Return the problem with each invalid field, by field name. Raises a Refusal."""
        project = self._prechecks.project(project_id)
        return self._prechecks.wrong(project, agent=agent, framework=framework, branch=branch)

    def refuse_full(self, project_id: str, requester: Requester, now: datetime) -> None:
        """Refuse early if the quota or the project is full, before any external call.

        `accept` checks both again. Raises RateLimited, ConcurrencyLimit and any refusal that
        applies to every run of the project.
        """
        project = self._prechecks.project(project_id)
        if requester.is_charged:
            window = self._places.window(requester.person_id, now)
            if not window.fits:
                raise refusal_of(window, now)
        if project.approve_start:
            return  # until it is approved it takes no place
        if not self._has_room(project.id, project.max_concurrency):
            with self._runs.stores.looking() as session:
                active = run_ledger.count_open(session, project.id)
            _refuse_crowd(active, project.max_concurrency)

    def accept(
        self,
        order: RunRequest,
        requester: Requester,
        now: datetime,
        still: Still | None = None,
        also: Also | None = None,
    ) -> Accepted:
        """Accept a run, or return the one its key created. Raises a Refusal and writes nothing."""
        with unit_of_work("accept", project_id=order.project_id) as span:
            accepted = self._accept(order, requester, now, still, also)
            span.set_attribute("run_id", accepted.run.id)
            return accepted

    def _accept(
        self,
        order: RunRequest,
        requester: Requester,
        now: datetime,
        still: Still | None,
        also: Also | None,
    ) -> Accepted:
        sent = _sent(order, requester)
        facts = read_order_facts(self._runs.stores, order.project_id, requester.key)
        # before all other checks: a replay succeeds even if the project has changed since
        replayed = self._keys.known(sent, now) if sent and facts.may_have_key else None
        if replayed is not None:
            return Accepted(replayed, True)
        project = opened(facts)
        limit = self._prechecks.limit(project, order, now) if facts.is_any_held else None
        checked = self._prechecks.order(project, order, limit, requester.person_id)
        ready = self._ready(order, requester, project, checked, now)
        ready = replace(ready, stills=(*ready.stills, *filter(None, [still])), also=also)
        run = ready.run
        with self._places.place(run.charged_to, run.id, now) as place:
            if place.refusal is not None:
                return self._answer_full(place.refusal, ready, now)
            accepted = self._insert(ready, place, now)
        if not accepted.replayed:
            failpoint("after_accept")
            if accepted.run.awaits_approval:
                self._outbox.catch_up()
        return accepted

    def rehearse(self, order: RunRequest, requester: Requester, now: datetime) -> Rehearsed:
        """Check an order as `accept` does, apart from quota and limits, and write nothing.

        Raises a Refusal.
        """
        checks = self._prechecks.only_reading()
        project = checks.project(order.project_id)
        checked = checks.order(project, order, None, requester.person_id)
        ready = self._ready(order, requester, project, checked, now)
        with self._runs.stores.looking() as session:
            is_known = ready.sent and self._keys.known_in(session, ready.sent, now) is not None
            if not is_known:
                # a run that is just ending is waited for, and refuses nothing
                with suppress(BeingReleased):
                    _refuse_as_taken(session, ready)
        return Rehearsed(project, checked)

    def _ready(
        self,
        order: RunRequest,
        requester: Requester,
        project: Project,
        checked: Checked,
        now: datetime,
    ) -> _Ready:
        run = self._draft(project, order, checked, requester, now)
        in_the_way, change = _in_the_way(order, run, checked.in_the_way), checked.change
        if change is not None:
            in_the_way = self._kept_on(order, change)
        return _Ready(
            run=run,
            in_the_way=in_the_way,
            sent=_sent(order, requester),
            may_have_twin=may_have_twin(order),
            project=project,
            stills=(has_open_change(change.number),) if change else (),
        )

    def _kept_on(self, order: RunRequest, change: Change) -> str | None:
        """Return a change's branch if an earlier run left work on it that was not delivered."""
        # a retry continues it, or sets it aside when it is launched
        kept = [] if order.again else self._parked.of_branch(order.project_id, change.branch)
        return change.branch if any(run.delivery is None for run in kept) else None

    def _insert(self, ready: _Ready, place: Place | FreePlace, now: datetime) -> Accepted:
        shared = self._shared[self._runs.stores.owner_of(ready.run.id)]
        accepted = shared.write(lambda tx: self._decide(tx, ready, place, now))
        if not accepted.replayed:
            place.keep()
        return accepted

    def _decide(
        self, tx: Transaction, ready: _Ready, place: Place | FreePlace, now: datetime
    ) -> Accepted:
        run, sent = ready.run, ready.sent
        most = ready.project.max_concurrency if is_active(run) else 0
        found = read_guards(tx, run, place.begins_at, most=most)
        if run.retry_of is None and run.batch_id is None:
            # retries and batch items live in their parent's store, wherever new runs go
            refuse_place(found.new_runs, self._runs.stores)
        if sent is None:
            _refuse_twin_of(tx, ready)
        elif found.is_key_known:
            held = self._keys.claim(tx, sent, now)
            if held is not None:
                return Accepted(held, True)
        place.charge_counted(found.charged, tx)
        self._refuse_by_project(tx, ready, found)
        if found.is_branch_taken:
            refuse_locked(tx, run)
        if ready.in_the_way is not None:
            raise Parked(branch=ready.in_the_way)
        if is_active(run):
            _refuse_crowd_at(tx, run, found, most)
        self._write(tx, ready)
        return Accepted(run, False, ready.project)

    def _write(self, tx: Transaction, ready: _Ready) -> None:
        run = ready.run
        self._runs.insert(tx, run, sentence=accepted_words(run), data=accepted_data(run))
        note_added(tx, run)
        if run.awaits_approval:
            self._outbox.follow(tx, run, *asking(run, ready.project), run.created_at)
        if run.retry_of is not None:
            self._handovers.link(tx, run)
        if ready.also is not None:
            ready.also(tx, run)
        if run.batch_id is None:
            # with the run, so that it is announced even if the commit's answer is lost
            tx.publish(RunAccepted(run.id, run.due_at if run.status == Status.DELAYED else None))

    def _refuse_by_project(self, tx: Transaction, ready: _Ready, found: Guards) -> None:
        # checked again under the lock: from here on the project cannot be archived first
        if found.project is None:
            raise NotFound
        refuse_closed(found.project)
        if ready.stills:
            project = self._prechecks.project(ready.run.project_id, tx)
            for still in ready.stills:
                still(tx, project)

    def _answer_full(self, full: RateLimited | NoPlaces, ready: _Ready, now: datetime) -> Accepted:
        # same order of checks as in the transaction: twins and replays come before the quota
        if ready.sent is None:
            with self._runs.stores.looking() as session:
                _refuse_twin_of(session, ready)
            raise full
        replayed = self._keys.known(ready.sent, now)
        if replayed is None:
            raise full
        return Accepted(replayed, True)

    def _draft(
        self,
        project: Project,
        order: RunRequest,
        checked: Checked,
        requester: Requester,
        now: datetime,
    ) -> Run:
        beside = order.again.run_id if order.again else order.batch_id
        run_id = self._runs.stores.mint_run_id(now, beside=beside)
        head = checked.change.branch if checked.change else None
        kept = order.again.branch if order.again else None
        due_at = order.due_at(now)
        settled = Settled(
            run_id=run_id,
            project_id=project.id,
            batch_id=order.batch_id,
            title=prompts.title_of(checked.brief, checked.template),
            branch=checked.branch,
            work_branch=kept or head or work_branch_of(project, order.issue, run_id),
            agent=checked.agent,
            model=model_for(order, project),
            budget_seconds=project.budget_seconds,
            due_at=due_at,
            expires_at=_later(due_at or now, order.ttl_seconds),
            hold=INCOMPLETE if order.batch_id else None,
            awaits_approval=needs_approval(order, project),
        )
        run = draft_run(order, requester, settled, now)
        run.announce = order.issue is not None and project.forge_id is not None
        if checked.template is not None:
            run.provenance = {**run.provenance, TEMPLATE: checked.template.label}
        return run


def _sent(order: RunRequest, requester: Requester) -> Sent | None:
    if requester.key is None:
        return None
    return Sent(order.project_id, requester.key, requester.person_id, order.body_hash())


def work_branch_of(project: Project, issue: int | None, run_id: str) -> str:
    """Return the branch that a run works on and claims."""
    return f"run/{run_id}" if issue is None else branch_of_issue(project.branch_pattern, issue)


def _in_the_way(order: RunRequest, run: Run, found: str | None) -> str | None:
    # a retry has already decided what happens to the work kept on its own branch
    is_settled = order.again is not None and (order.again.branch or found == run.work_branch)
    return None if is_settled else found


def _later(moment: datetime, seconds: int | None) -> datetime | None:
    return moment + timedelta(seconds=seconds) if seconds else None


def _refuse_twin_of(session: Session, ready: _Ready) -> None:
    if not ready.may_have_twin:
        refuse_twin(session, ready.run, ready.project)


def _refuse_as_taken(session: Session, ready: _Ready) -> None:
    """Refuse a run whose work another run has, or whose branch holds kept work."""
    if ready.sent is None:
        _refuse_twin_of(session, ready)
    for still in ready.stills:
        still(session, ready.project)
    refuse_locked(session, ready.run)
    if ready.in_the_way is not None:
        raise Parked(branch=ready.in_the_way)


def _refuse_crowd_at(session: Session, run: Run, found: Guards, counted: int) -> None:
    """Refuse a run of a full project, of whose active runs only `counted` were counted."""
    limit = found.project.max_concurrency if found.project else 0
    if found.active >= min(counted, limit):
        _refuse_crowd(run_ledger.count_open(session, run.project_id), limit)


def _refuse_crowd(active: int, most: int) -> None:
    if active >= most:
        raise ConcurrencyLimit(active=active, max=most)
