"""Accepting a run: everything is checked, then one short transaction says yes or no."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from app.domain import prompts
from app.domain.issues import branch_of_issue
from app.domain.words import Delivers, Depth, Status, Trigger
from app.errors import (
    AlreadyRunning,
    ConcurrencyLimit,
    KeyReused,
    KeyTaken,
    Parked,
    PrLock,
)
from app.records import run_ledger
from app.records.run_ledger import RunLedger
from app.records.tables import Project, Run
from app.services.prechecks import Prechecks
from app.services.quota import Quota

GIVES_KEY_BACK = {Status.DIED, Status.TIMED_OUT, Status.NOT_STARTED, Status.EXPIRED}


@dataclass(frozen=True)
class Order:
    """What somebody asks for; None stands for the project's own."""

    project_id: str
    depth: Depth
    framework: str
    branch: str | None = None
    issue: int | None = None
    task: str | None = None
    agent: str | None = None
    model: str | None = None
    delivers: Delivers = Delivers.CHANGE
    delay_seconds: int | None = None
    ttl_seconds: int | None = None
    tags: tuple[str, ...] = ()

    def body_hash(self) -> str:
        """What tells two orders under one key apart."""
        text = json.dumps(self.__dict__, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Asker:
    """Who asks, by which way, under which key, and the ids that tie it together."""

    person_id: str
    trigger: Trigger
    key: str | None
    correlation_id: str
    provenance: dict[str, str]


@dataclass(frozen=True)
class Accepted:
    """The run; `replayed` where its key had already made it."""

    run: Run
    replayed: bool


@dataclass(frozen=True)
class Limits:
    """How long keys are kept, in seconds, and the open runs a repository may have."""

    key_hold_seconds: int
    key_ttl_seconds: int


class TriggerDesk:
    """Where every run is accepted, whatever started it."""

    def __init__(
        self,
        runs: RunLedger,
        prechecks: Prechecks,
        quota: Quota,
        limits: Limits,
        on_accepted: Callable[[], None],
    ) -> None:
        self._runs = runs
        self._prechecks = prechecks
        self._quota = quota
        self._limits = limits
        self._on_accepted = on_accepted

    def accept(self, order: Order, asker: Asker, now: datetime) -> Accepted:
        """Accept a run or answer the one its key has made. Raises a Refusal, leaving nothing."""
        replayed = self._known(order, asker, now)
        if replayed is not None:
            return Accepted(replayed, True)
        project = self._prechecks.project(order.project_id)
        checked = self._prechecks.order(project, order, now)
        run = self._draft(project, order, checked.branch, checked.agent, checked.brief, asker, now)
        with self._runs.stores.owner_of(run.id).transaction() as tx:
            held = self._replay(tx, order, asker, now, give_back=True)
            if held is not None:
                return Accepted(held, True)
            if asker.key is None:
                _refuse_twin(tx, run)
            self._quota.charge(tx, asker.person_id, now)
            _refuse_locked(tx, run)
            if checked.parked:
                raise Parked(branch=run.work_branch)
            _refuse_crowd(tx, project)
            self._runs.insert(tx, run, sentence=_sentence(run))
        self._on_accepted()
        return Accepted(run, False)

    def _known(self, order: Order, asker: Asker, now: datetime) -> Run | None:
        # asked before everything else: a replay passes whatever may have changed since
        if asker.key is None:
            return None
        for database in self._runs.stores.holding_runs():
            with database.reading() as session:
                held = self._replay(session, order, asker, now, give_back=False)
            if held is not None:
                return held
        return None

    def _replay(
        self, session: Session, order: Order, asker: Asker, now: datetime, *, give_back: bool
    ) -> Run | None:
        if asker.key is None:
            return None
        held = run_ledger.find_by_key(session, order.project_id, asker.key)
        if held is None:
            return None
        if self._is_given_back(held, now):
            if give_back:
                held.idempotency_key = None
                session.add(held)
                session.flush()
            return None
        if held.created_by != asker.person_id:
            raise KeyTaken
        if held.body_hash != order.body_hash():
            raise KeyReused(run_id=held.id)
        return held

    def _is_given_back(self, held: Run, now: datetime) -> bool:
        age = (now - held.created_at).total_seconds()
        if held.released_at is None:
            return False
        if age >= self._limits.key_ttl_seconds:
            return True
        return Status(held.status) in GIVES_KEY_BACK and age >= self._limits.key_hold_seconds

    def _draft(
        self,
        project: Project,
        order: Order,
        branch: str,
        agent: str,
        brief: prompts.Brief,
        asker: Asker,
        now: datetime,
    ) -> Run:
        run_id = self._runs.stores.mint_run_id(now)
        due_at = now + timedelta(seconds=order.delay_seconds) if order.delay_seconds else None
        return Run(
            id=run_id,
            project_id=project.id,
            status=Status.DELAYED if due_at else Status.QUEUED,
            trigger=asker.trigger,
            title=prompts.title_of(brief),
            depth_level=order.depth,
            target_framework=order.framework,
            branch_name=branch,
            work_branch=work_branch_of(project, order.issue, run_id),
            issue=order.issue,
            task=order.task,
            agent=agent,
            model=order.model,
            delivers=order.delivers,
            tags=list(order.tags),
            budget_seconds=project.budget_seconds,
            idempotency_key=asker.key,
            body_hash=order.body_hash(),
            correlation_id=asker.correlation_id,
            created_by=asker.person_id,
            charged_to=asker.person_id,
            provenance=asker.provenance,
            created_at=now,
            due_at=due_at,
            expires_at=_later(due_at or now, order.ttl_seconds),
        )


def work_branch_of(project: Project, issue: int | None, run_id: str) -> str:
    """The branch a run works on and claims."""
    return f"run/{run_id}" if issue is None else branch_of_issue(project.branch_pattern, issue)


def _later(moment: datetime, seconds: int | None) -> datetime | None:
    return moment + timedelta(seconds=seconds) if seconds else None


def _sentence(run: Run) -> str:
    what = f"issue #{run.issue}" if run.issue else f"branch {run.branch_name}"
    return f"{run.trigger} · {what}"


def _twin(run: Run) -> tuple[Any, ...]:
    return (
        *(run.agent, run.issue, run.pr_number, run.branch_name),
        *(run.task, run.depth_level, run.target_framework),
    )


def _refuse_twin(session: Session, run: Run) -> None:
    for other in run_ledger.find_open(session, run.project_id):
        if _twin(other) == _twin(run):
            raise AlreadyRunning(run_id=other.id)


def _refuse_locked(session: Session, run: Run) -> None:
    holder = run_ledger.find_open_on_branch(session, run.project_id, run.work_branch)
    if holder is not None:
        since = holder.created_at.isoformat().replace("+00:00", "Z")
        raise PrLock(holder=holder.id, since=since, branch=run.work_branch)


def _refuse_crowd(session: Session, project: Project) -> None:
    active = run_ledger.count_open(session, project.id)
    if active >= project.max_concurrency:
        raise ConcurrencyLimit(active=active, max=project.max_concurrency)
