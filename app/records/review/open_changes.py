"""Open change requests of all projects, with costs and checks, and what waits for approval."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import func, literal_column
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import Select

from app.domain.words import CheckStatus
from app.records.projects.tracker_ledger import batched
from app.records.stores.routing import Stores
from app.records.stores.sessions import control_of
from app.records.tables import Approval, ChangeRequest, CheckResult, Project, Run

# a change is named by its project and its number
Key = tuple[str, int]


@dataclass(frozen=True)
class Work:
    """The work on a change: its newest run, that run's required checks, and the cost of all runs.

    `cost_usd` is None if no run reported one, `cost_unknown` counts the runs that did not.
    """

    run_id: str
    agent: str
    model: str | None
    cost_usd: float | None
    cost_unknown: int = 0
    checks: int = 0
    red: int = 0


@dataclass(frozen=True)
class _Worker:
    run_id: str
    project_id: str
    branch: str
    agent: str
    model: str | None
    pr_number: int | None
    cost_usd: float | None
    created_at: datetime
    check_round: int


_COLUMNS = (
    *(col(Run.id), col(Run.project_id), col(Run.work_branch), col(Run.agent), col(Run.model)),
    *(col(Run.pr_number), col(Run.cost_usd), col(Run.created_at), col(Run.check_round)),
)


def open_changes(session: Session) -> list[ChangeRequest]:
    """Return the open change requests of projects that are not archived."""
    query = (
        select(ChangeRequest)
        .join(Project, col(Project.id) == col(ChangeRequest.project_id))
        # exactly as in its partial index, or SQLite does not use it
        .where(literal_column("change_request.state = 'open'"), col(Project.archived_at).is_(None))
    )
    return list(session.exec(query).all())


def pending_approvals(session: Session) -> list[Approval]:
    """Return all pending approvals, of starts and of merges."""
    # as in its partial index, too
    query = select(Approval).where(literal_column("approval.state = 'pending'"))
    return list(control_of(session).exec(query).all())


def open_changes_of(session: Session, project_ids: Collection[str]) -> dict[str, int]:
    """Return how many open change requests these projects have, without those that have none."""
    project_id, found = col(ChangeRequest.project_id), dict[str, int]()
    for ids in batched(project_ids):
        query = (
            select(project_id, func.count())
            # exactly as in its partial index, or SQLite does not use it
            .where(literal_column("change_request.state = 'open'"), project_id.in_(ids))
            .group_by(project_id)
        )
        found |= dict(session.exec(query).all())
    return found


def work_on(
    stores: Stores, session: Session, changes: Collection[ChangeRequest]
) -> dict[Key, Work]:
    """Return the work on each change by the ended runs that opened it or added to it.

    A change whose runs cannot be found is left out.
    """
    workers = _workers_of(stores, session, changes)
    newest = {key: max(runs, key=lambda one: one.created_at) for key, runs in workers.items()}
    checks = _checks_of(stores, session, {one.run_id: one.check_round for one in newest.values()})
    found: dict[Key, Work] = {}
    for key, run in newest.items():
        costs = [one.cost_usd for one in workers[key] if one.cost_usd is not None]
        unknown = len(workers[key]) - len(costs)
        work = Work(run.run_id, run.agent, run.model, sum(costs) if costs else None, unknown)
        statuses = checks[run.run_id]
        red = sum(status != CheckStatus.PASSED for status in statuses)
        found[key] = replace(work, checks=len(statuses), red=red)
    return found


def _workers_of(
    stores: Stores, session: Session, changes: Collection[ChangeRequest]
) -> dict[Key, list[_Worker]]:
    places = {(one.project_id, one.branch): one for one in changes}
    found: dict[Key, list[_Worker]] = defaultdict(list)
    for branches in batched({one.branch for one in changes}):
        query = Select[*tuple[Any, ...]](*_COLUMNS)
        query = query.where(col(Run.work_branch).in_(branches), col(Run.ended_at).is_not(None))
        for row in stores.everywhere(query, session):
            run = _Worker(*row)
            change = places.get((run.project_id, run.branch))
            # earlier tries of an issue may have had the same branch
            if change and (run.run_id == change.run_id or run.pr_number == change.number):
                found[change.project_id, change.number].append(run)
    return found


def _checks_of(stores: Stores, session: Session, rounds: dict[str, int]) -> dict[str, list[str]]:
    """Return the statuses of the required checks in these rounds, by run id."""
    found: dict[str, list[str]] = defaultdict(list)
    for run_ids in batched([run_id for run_id, last in rounds.items() if last]):
        query = select(CheckResult.run_id, CheckResult.round, CheckResult.status).where(
            col(CheckResult.run_id).in_(run_ids), col(CheckResult.required)
        )
        for run_id, number, status in stores.everywhere(query, session):
            if number == rounds[run_id]:
                found[run_id].append(status)
    return found
