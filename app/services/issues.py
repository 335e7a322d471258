"""Issues of the built-in tracker, each with why it is not being started now."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.issues import IssueFacts, branch_of_issue, issue_hold
from app.domain.words import READY_LABEL
from app.errors import NotFound
from app.records.tables import IssueRow, Project
from app.services.floor import Ledgers
from app.services.ports import CannotRead, Mirrors
from app.services.prechecks import repository_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class IssueView:
    """An issue with what may be done about it; `hold` says why it is not claimable."""

    number: int
    title: str
    body: str
    labels: list[str]
    state: str
    ready: bool
    hold: str | None
    url: str | None = None

    @property
    def claimable(self) -> bool:
        """True where a run could take it now."""
        return self.ready and self.hold is None


class IssueDesk:
    """Where issues are written and told."""

    def __init__(
        self,
        ledgers: Ledgers,
        mirrors: Mirrors,
    ) -> None:
        self._tracker = ledgers.tracker
        self._projects = ledgers.projects
        self._runs = ledgers.runs
        self._mirrors = mirrors

    def all(self, project_id: str) -> list[IssueView]:
        """A project's issues, lowest number first."""
        project = self._find(project_id)
        return self._views(project, self._tracker.issues(project_id))

    def claimable(self, project: Project) -> list[int] | None:
        """The numbers a run could take, lowest first; None where that could not be read."""
        if project.state != "ready" or self._claims(project) is None:
            return None
        issues = self._tracker.issues(project.id)
        return [view.number for view in self._views(project, issues) if view.claimable]

    def claimable_count(self, project: Project) -> int | None:
        """How many issues a run could take; None where that could not be read."""
        numbers = self.claimable(project)
        return None if numbers is None else len(numbers)

    def _claims(self, project: Project) -> set[str] | None:
        """The branches claimed in the mirror; None where it could not be read."""
        if project.state != "ready":
            return set()
        try:
            return self._mirrors.claims(repository_of(project))
        except CannotRead as problem:
            log.warning("the mirror of %s could not be read: %s", project.id, problem)
            return None

    def add(
        self, project_id: str, title: str, body: str, labels: list[str], now: datetime
    ) -> IssueView:
        """Write an issue."""
        project = self._find(project_id)
        row = self._tracker.add_issue(
            project_id, title=title, body=body, labels=list(dict.fromkeys(labels)), now=now
        )
        return self._views(project, self._tracker.issues(project_id), only=row.number)[0]

    def change(
        self, project_id: str, number: int, changes: dict[str, Any], now: datetime
    ) -> IssueView:
        """Edit, label, close or open an issue."""
        project = self._find(project_id)
        if changes.get("state"):
            changes["closed_at"] = now if changes["state"] == "closed" else None
        if changes and self._tracker.change_issue(project_id, number, **changes) is None:
            raise NotFound
        views = self._views(project, self._tracker.issues(project_id), only=number)
        if not views:
            raise NotFound
        return views[0]

    def _find(self, project_id: str) -> Project:
        project = self._projects.find(project_id)
        if project is None:
            raise NotFound
        return project

    def _views(
        self, project: Project, rows: list[IssueRow], *, only: int | None = None
    ) -> list[IssueView]:
        open_numbers = {row.number for row in rows if row.state == "open"}
        taken = {run.issue for run in self._runs.open_runs(project.id)}
        claims = self._claims(project)
        changes = {
            change.branch: change.number
            for change in self._tracker.changes(project.id)
            if change.state == "open"
        }
        views = []
        for row in rows:
            if only is not None and row.number != only:
                continue
            branch = branch_of_issue(project.branch_pattern, row.number)
            facts = IssueFacts(
                number=row.number,
                body=row.body,
                labels=row.labels,
                is_open=row.state == "open",
                branch=branch,
                branch_exists=None if claims is None else branch in claims,
                has_open_run=row.number in taken,
                open_change=changes.get(branch),
            )
            views.append(_view(row, issue_hold(facts, open_numbers)))
        return views


def _view(row: IssueRow, hold: str | None) -> IssueView:
    ready = row.state == "open" and READY_LABEL in row.labels
    return IssueView(
        row.number, row.title, row.body, list(row.labels), row.state, ready=ready, hold=hold
    )
