"""Approving the texts of issues that somebody without write access could have changed."""
# stands alone: the service of issues is full

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from app.errors import EditedMeanwhile, NotFound, ProjectArchived
from app.records.tables import Project
from app.services.context import Context, repository_of
from app.services.ports import Issue
from app.services.runs.requests import as_unavailable
from app.services.system.issue_trust import IssueTrust, TextToApprove

# comments by people without write access that are shown: the newest
MOST_COMMENTS = 100


class Approvals:
    """Shows what was changed in an issue after it was labelled, and keeps a person's approval."""

    def __init__(self, context: Context) -> None:
        self._projects = context.ledgers.projects
        self._forge_of = context.adapters.forge_of
        self._trust = IssueTrust(context.stores, context.adapters.forges)

    def text(self, project_id: str, number: int) -> TextToApprove:
        """Return an issue's text, with the one that counts. Raises a Refusal."""
        project = self._find(project_id)
        with as_unavailable():
            issue = self._issue(project, number)
            said = self._forge_of(project).said_about(repository_of(project), number)
            newest = replace(said, others=said.others[-MOST_COMMENTS:])
            return self._trust.to_approve(project, issue, newest)

    def approve(
        self, project_id: str, number: int, sha256: str, ticked: Collection[str] | None = None
    ) -> None:
        """Approve the text with this digest, so that the issue may start by itself.

        `ticked` are the digests of the comments by people without write access that prompts have
        from now on; None leaves them. Raises EditedMeanwhile if the text or a comment has changed
        since, NotFound, ProjectArchived, ForgeUnavailable.
        """
        project = self._find(project_id)
        if project.archived_at is not None:
            raise ProjectArchived
        text = self.text(project_id, number)
        if text.sha256 != sha256:
            raise EditedMeanwhile("Its text was changed again: look at it as it is now.")
        if ticked and not {one.sha256 for one in text.comments}.issuperset(ticked):
            raise EditedMeanwhile("Comments were changed or removed: look at them again.")
        self._trust.approve(project_id, number, text, ticked)

    def _find(self, project_id: str) -> Project:
        project = self._projects.find(project_id)
        if project is None:
            raise NotFound
        return project

    def _issue(self, project: Project, number: int) -> Issue:
        found = self._forge_of(project).issue(repository_of(project), number)
        if found is None:
            raise NotFound(f"{project.name} has no issue #{number}.")
        return found
