"""Client calls for a project's issues and comments."""

from __future__ import annotations

from typing import Any

from app.api import schemas
from app.api.client.auto import Caller


class IssueCalls:
    """Calls for issues; only those of the built-in tracker can be changed."""

    async def issues(self: Caller, project_id: str) -> list[schemas.IssueOut]:
        """Return the issues of the project's tracker, lowest number first."""
        return (await self.ask(schemas.Issues, f"/projects/{project_id}/issues")).items

    async def issue(self: Caller, project_id: str, number: int) -> schemas.IssueOut:
        """Return one issue."""
        return await self.ask(schemas.IssueOut, f"/projects/{project_id}/issues/{number}")

    async def add_issue(self: Caller, project_id: str, new: schemas.NewIssue) -> schemas.IssueOut:
        """Create an issue."""
        return await self.tell(schemas.IssueOut, "POST", f"/projects/{project_id}/issues", new)

    async def change_issue(
        self: Caller, project_id: str, number: int, **changes: Any
    ) -> schemas.IssueOut:
        """Change title, body, labels or state; `was` holds the values the editor saw."""
        path = f"/projects/{project_id}/issues/{number}"
        return await self.tell(schemas.IssueOut, "PATCH", path, changes)

    async def comments(self: Caller, project_id: str, number: int) -> list[schemas.CommentOut]:
        """Return the comments on an issue, oldest first."""
        path = f"/projects/{project_id}/issues/{number}/comments"
        return (await self.ask(schemas.Comments, path)).items

    async def comment(self: Caller, project_id: str, number: int, body: str) -> schemas.CommentOut:
        """Add a comment to an issue."""
        path = f"/projects/{project_id}/issues/{number}/comments"
        return await self.tell(schemas.CommentOut, "POST", path, {"body": body})
