"""The ledger of usage limits. Every change is guarded: of two servers, only one makes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, bindparam, delete, func, or_, update
from sqlmodel import Session, SQLModel, col, select
from sqlmodel.sql.expression import Select, SelectOfScalar

from app.domain.usage_limits import HoldFacts, covers
from app.domain.words import Status
from app.records.database.database import Transaction
from app.records.feed import ProjectChanged, RunChanged
from app.records.stores.routing import Stores
from app.records.stores.sessions import control_of
from app.records.tables import AccountHold, Project, Run

_QUEUED = (
    *(col(Run.released_at).is_(None), col(Run.status) == Status.QUEUED),
    col(Run.awaits_approval).is_(False),
)


class HoldLedger:
    """The account holds, in the control store; returned rows are copies."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def all(self, session: Session | None = None) -> list[AccountHold]:
        """Return all holds, oldest first; read through `session` if given."""
        if session is None:
            with self.stores.control.reading() as session:
                return self.all(session)
        query = select(AccountHold).order_by(col(AccountHold.since))
        return list(control_of(session).exec(query).all())

    def resumable(self) -> list[Run]:
        """Return the runs that wait to be resumed, the earliest ended first."""
        found = self.stores.everywhere(select(Run).where(col(Run.may_resume)))
        return sorted(found, key=lambda run: (run.ended_at or run.created_at, run.id))

    def has_queued(self, hold: AccountHold) -> bool:
        """Return True if a queued run needs the account; reads up to the first that does."""
        query = select(Run.id).where(*_QUEUED, Run.agent == hold.agent).limit(1)
        if hold.family:
            # as `covers` says
            of_family = func.lower(Run.model).contains(hold.family, autoescape=True)
            query = query.where(or_(col(Run.model).is_(None), of_family))
        return bool(self.stores.everywhere(query))

    def count_waiting(self, holds: Sequence[AccountHold]) -> list[int]:
        """Return for each hold how many runs are queued or wait to be resumed on its account."""
        found = self._waiting() if holds else []
        return [
            sum(count for _, agent, model, count in found if _is_on(hold, agent, model))
            for hold in holds
        ]

    def waiting_by_project(self, holds: Sequence[AccountHold]) -> Counter[str]:
        """Count the runs that are queued or wait to be resumed on any of these, by project."""
        found: Counter[str] = Counter()
        for project_id, agent, model, count in self._waiting() if holds else ():
            if any(_is_on(hold, agent, model) for hold in holds):
                found[project_id] += count
        return found

    def _waiting(self) -> list[tuple[str, str, str | None, int]]:
        columns = col(Run.project_id), col(Run.agent), col(Run.model)
        found: list[tuple[str, str, str | None, int]] = []
        for those in (_QUEUED, [col(Run.may_resume)]):
            query = Select[str, str, str | None, int](*columns, func.count()).where(*those)
            found += self.stores.everywhere(query.group_by(*columns))
        return found

    def set_resumable(self, run: Run, *, may_resume: bool) -> bool:
        """Set if a run waits to be resumed; return False if it was set so already."""
        with self.stores.owner_of(run.id).transaction() as tx:
            return mark_resumable(tx, run, may_resume=may_resume)

    def change(self, hold: AccountHold, **columns: Any) -> bool:
        """Update a hold unless it changed since it was read; return False if it did."""
        with self.stores.control.transaction() as tx:
            return change(tx, hold, **columns)

    def publish_change(self) -> None:
        """Announce a change to every project, because a hold's time has come."""
        with self.stores.control.transaction() as tx:
            _publish(tx)

    def drop(self, hold: AccountHold) -> bool:
        """Delete a hold unless it changed since it was read; return False if it did."""
        with self.stores.control.transaction() as tx:
            ended = delete(AccountHold).where(*_is_as_read(hold))
            is_ended = bool(tx.scalars(ended.returning(col(AccountHold.agent))).all())
            if is_ended:
                _publish(tx)
            return is_ended


def facts_of(hold: AccountHold) -> HoldFacts:
    """Return the facts that determine a hold's state."""
    return HoldFacts(hold.until, hold.probe_run_id, hold.next_at)


def _is_on(hold: AccountHold, agent: str, model: str | None) -> bool:
    return agent == hold.agent and covers(hold.family, model)


def covering(session: Session, agent: str, account: str, model: str | None) -> list[AccountHold]:
    """Return the holds that apply to this agent and model; read in the caller's transaction."""
    asked = {"agent": agent, "account": account}
    control = control_of(session)
    # hardly any account is held, and a statement for entities costs far more
    if control.connection().execute(_family_of_account(), asked).first() is None:
        return []
    found = control.exec(_of_account(), params=asked)
    return [hold for hold in found if covers(hold.family, model)]


@cache
def _family_of_account() -> sqlalchemy.Select[str]:
    hold = SQLModel.metadata.tables["account_hold"].c
    query = sqlalchemy.select(hold.family).where(hold.agent == bindparam("agent"))
    return query.where(hold.account == bindparam("account"))


@cache
def _of_account() -> SelectOfScalar[AccountHold]:
    # built once, because it runs for every accepted run
    query = select(AccountHold).where(
        AccountHold.agent == bindparam("agent"), AccountHold.account == bindparam("account")
    )
    return query.execution_options(populate_existing=True)


def put(tx: Transaction, hold: AccountHold) -> None:
    """Write a hold; it replaces an earlier one of the same account and family."""
    control = control_of(tx)
    control.merge(hold)
    control.flush()
    _publish(control)


def change(tx: Transaction, hold: AccountHold, **columns: Any) -> bool:
    """Update a hold unless it changed since it was read; return False if it did."""
    control = control_of(tx)
    changed = control.scalars(
        update(AccountHold)
        .where(*_is_as_read(hold))
        .values(**columns)
        .returning(col(AccountHold.agent))
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if changed is not None:
        _publish(control)
    return changed is not None


def mark_resumable(tx: Transaction, run: Run, *, may_resume: bool) -> bool:
    """Set if a run waits to be resumed; return False if it was set so already."""
    marked = tx.scalars(
        update(Run)
        .where(col(Run.id) == run.id, col(Run.may_resume).is_not(may_resume))
        .values(may_resume=may_resume)
        .returning(col(Run.id))
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if marked is not None:
        tx.publish(RunChanged(run.id, run.project_id), ProjectChanged(run.project_id))
    return marked is not None


def _is_as_read(hold: AccountHold) -> list[ColumnElement[bool]]:
    return [
        col(AccountHold.agent) == hold.agent,
        col(AccountHold.account) == hold.account,
        col(AccountHold.family) == hold.family,
        col(AccountHold.since) == hold.since,
        col(AccountHold.probe_run_id).is_not_distinct_from(hold.probe_run_id),
        col(AccountHold.next_at).is_not_distinct_from(hold.next_at),
    ]


def _publish(tx: Transaction) -> None:
    # to all projects, not only those concerned: it happens a few times a day
    projects: Collection[str] = tx.exec(
        select(Project.id).where(col(Project.archived_at).is_(None))
    ).all()
    tx.publish(*(ProjectChanged(project_id) for project_id in projects))
