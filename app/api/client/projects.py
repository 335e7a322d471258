"""What the API's client asks of a project's tracker: issues, comments, change requests."""

from __future__ import annotations

from typing import Any

from app.api import schemas
from app.api.client.auto import Caller


class IssueCalls:
    """Calls on issues; the built-in tracker's are written here."""

    async def issues(self: Caller, project_id: str) -> list[schemas.IssueOut]:
        """Issues of the project's tracker, lowest number first."""
        return (await self.ask(schemas.Issues, f"/projects/{project_id}/issues")).items

    async def issue(self: Caller, project_id: str, number: int) -> schemas.IssueOut:
        """One issue."""
        return await self.ask(schemas.IssueOut, f"/projects/{project_id}/issues/{number}")

    async def add_issue(self: Caller, project_id: str, new: schemas.NewIssue) -> schemas.IssueOut:
        """Write an issue."""
        return await self.tell(schemas.IssueOut, "POST", f"/projects/{project_id}/issues", new)

    async def change_issue(
        self: Caller, project_id: str, number: int, **changes: Any
    ) -> schemas.IssueOut:
        """Change title, body, labels or state; `was` is what the writer saw of it."""
        path = f"/projects/{project_id}/issues/{number}"
        return await self.tell(schemas.IssueOut, "PATCH", path, changes)

    async def comments(self: Caller, project_id: str, number: int) -> list[schemas.CommentOut]:
        """What was said on an issue, oldest first."""
        path = f"/projects/{project_id}/issues/{number}/comments"
        return (await self.ask(schemas.Comments, path)).items

    async def comment(self: Caller, project_id: str, number: int, body: str) -> schemas.CommentOut:
        """Say something on an issue."""
        path = f"/projects/{project_id}/issues/{number}/comments"
        return await self.tell(schemas.CommentOut, "POST", path, {"body": body})
