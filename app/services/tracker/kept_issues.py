"""Issues for pages: those of forges as they were last read, so that no page waits for a forge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from app.domain.issues import blockers_of
from app.domain.tracker.forges import as_of
from app.domain.words import READY_LABEL
from app.errors import ForgeUnavailable, NotFound
from app.records.projects.forge_issue_ledger import ForgeIssueLedger
from app.records.runs.selections import ProjectRuns
from app.records.tables import ForgeIssue, Project
from app.services.context import Context
from app.services.ports import Issue, Ready
from app.services.tracker.issue_views import IssueView
from app.services.tracker.issues import IssueService

Numbers = dict[str, list[int] | None]


class KeptIssues:
    """Reads issues without a call to a forge."""

    def __init__(self, context: Context, issues: IssueService) -> None:
        self._ledger = ForgeIssueLedger(context.stores)
        self._project_runs = ProjectRuns(context.stores)
        self._projects = context.ledgers.projects
        self._tracker = context.ledgers.tracker
        self._clock: Callable[[], datetime] = context.clock
        self._issues = issues

    def claimable_of(self, projects: Sequence[Project]) -> Numbers:
        """Return the claimable numbers of projects at forges by id, None if they are not known."""
        ids = [one.id for one in projects]
        kept = self._ledger.ready_of(ids, READY_LABEL)
        changes = self._tracker.open_changes_of(ids)
        running = self._project_runs.issues(
            {one: [row.number for row in found.issues] for one, found in kept.items()}
        )
        numbers: Numbers = {}
        for project in projects:
            found = kept.get(project.id)
            ready = found and Ready(
                tuple(
                    self._issues.trust.as_seen(project.id, [_issue(one) for one in found.issues])
                ),
                frozenset(found.open_numbers),
                changes.get(project.id, {}),
            )
            issues = self._issues.take(project, ready, running[project.id])
            numbers[project.id] = None if issues is None else [one.number for one in issues]
        return numbers

    def one(self, project_id: str, number: int) -> IssueView:
        """Return an issue as it was last read; one of the built-in tracker as it is.

        Raises NotFound, ForgeUnavailable if the list of its project was never read.
        """
        project = self._projects.find(project_id)
        if project is None:
            raise NotFound
        if project.forge_id is None:
            return self._issues.one(project_id, number)
        seen = self._ledger.seen(project_id, number)
        if seen is None:
            if self._ledger.count_open(project_id) is None:
                raise ForgeUnavailable("Its issues have not been read at its forge yet.")
            raise NotFound(f"{project.name} has no issue #{number}.")
        row, listing = seen
        named = [*blockers_of(row.body), *row.dependencies]
        opened = self._ledger.open_among(project_id, named)
        (issue,) = self._issues.trust.as_seen(project_id, [_issue(row)])
        view = self._issues.view_kept(project, issue, opened)
        return replace(view, as_of=as_of(listing.read_at, listing.silent_since, self._clock()))


def _issue(row: ForgeIssue) -> Issue:
    return Issue(
        number=row.number,
        title=row.title,
        body=row.body,
        labels=tuple(row.labels),
        state=row.state,
        url=row.url,
        created_at=row.created_at,
        closed_at=row.closed_at,
        priority=row.priority,
        dependencies=tuple(row.dependencies),
        blocked_elsewhere=tuple(row.blocked_elsewhere),
        stranger=row.stranger,
        assignees=tuple(row.assignees),
        milestone=row.milestone,
        updated_at=row.updated_at,
    )
