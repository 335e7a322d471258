"""Refusals that name the open run which stands in the way of a new one."""

from __future__ import annotations

from sqlmodel import Session

from app.domain.ids import shorten
from app.domain.lifecycle import DONE
from app.errors import AlreadyRunning, BeingReleased, PrLock
from app.records.runs import run_ledger
from app.records.runs.selections import find_twin
from app.records.tables import Project, Run


def refuse_twin(session: Session, run: Run, project: Project) -> None:
    """Refuse a run if an open one does the same work. Raises AlreadyRunning, BeingReleased."""
    twin = find_twin(session, run)
    if twin is not None and twin.status in DONE:
        raise being_released(twin)
    if twin is not None:
        raise already_running(twin, project.name, "An identical run is already in progress")


def refuse_locked(session: Session, run: Run) -> None:
    """Refuse a run if an open one writes to its branch. Raises PrLock, BeingReleased."""
    holder = run_ledger.find_open_on_branch(session, run.project_id, run.work_branch)
    if holder is not None:
        raise locked_by(holder)


def already_running(run: Run, project_name: str, what: str) -> AlreadyRunning:
    """Return the refusal that names an open run with its project, agent, issue and request."""
    issue = "no issue" if run.issue is None else f"issue #{run.issue}"
    request = "no request" if run.pr_number is None else f"request #{run.pr_number}"
    facts = f"project {project_name}, agent {run.agent}, {issue}, {request}"
    return AlreadyRunning(f"{what}, as {shorten(run.id)}: {facts}.", run_id=run.id)


def locked_by(holder: Run) -> PrLock:
    """Return the refusal that names the open run holding the branch."""
    if holder.status in DONE:
        return being_released(holder)
    return PrLock(holder=holder.id, since=holder.created_at, branch=holder.work_branch)


def being_released(run: Run, sentence: str | None = None) -> BeingReleased:
    """Return the refusal that names an ended run whose processes are not proved gone yet."""
    members = {"holder": run.id, "since": run.created_at, "branch": run.work_branch}
    return BeingReleased(run.id, sentence, **members)
