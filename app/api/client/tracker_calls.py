"""The calls of issues and change requests; see `app/api/client/calls.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from app.api.client.protocol import Call, only_given

if TYPE_CHECKING:
    from app.api import schemas
    from app.api.client.protocol import Body


def _project(project_id: str, rest: str) -> str:
    return f"/projects/{quote(project_id, safe='')}{rest}"


def issues(project_id: str) -> Call[list[schemas.IssueOut]]:
    """Return the issues of the project's tracker, lowest number first."""
    return Call("GET", _project(project_id, "/issues"), "Issues", takes_items=True)


def board(project_ids: Sequence[str] = (), *, closed: int = 50) -> Call[schemas.BoardOut]:
    """Return the issues of all projects or of these, with at most so many closed ones."""
    params = {"project_id": list(project_ids), "closed": closed}
    return Call("GET", "/issues", "BoardOut", params=params)


def issue(project_id: str, number: int) -> Call[schemas.IssueOut]:
    """Return one issue."""
    return Call("GET", _project(project_id, f"/issues/{number}"), "IssueOut")


def seen_issue(project_id: str, number: int) -> Call[schemas.IssueOut]:
    """Return one issue as its forge last told it, without asking."""
    path = _project(project_id, f"/issues/{number}")
    return Call("GET", path, "IssueOut", params={"as_seen": "true"})


def add_issue(project_id: str, new: Body) -> Call[schemas.IssueOut]:
    """Create an issue in the built-in tracker."""
    return Call("POST", _project(project_id, "/issues"), "IssueOut", body=new)


def change_issue(project_id: str, number: int, **changes: Any) -> Call[schemas.IssueOut]:
    """Change title, body, labels or state; `was` holds the values the editor saw."""
    return Call("PATCH", _project(project_id, f"/issues/{number}"), "IssueOut", body=changes)


def issue_text(project_id: str, number: int) -> Call[schemas.IssueTextOut]:
    """Return an issue's text beside the one that was labelled."""
    return Call("GET", _project(project_id, f"/issues/{number}/text"), "IssueTextOut")


def approve_text(
    project_id: str, number: int, sha256: str, comments: list[str] | None = None
) -> Call[schemas.IssueOut]:
    """Approve the text of an issue that a person looked at, and the comments of others."""
    path = _project(project_id, f"/issues/{number}/approve-text")
    body = only_given({"sha256": sha256, "comments": comments})
    return Call("POST", path, "IssueOut", body=body)


def comments(project_id: str, number: int) -> Call[list[schemas.CommentOut]]:
    """Return the comments on an issue, oldest first."""
    path = _project(project_id, f"/issues/{number}/comments")
    return Call("GET", path, "Comments", takes_items=True)


def comment(project_id: str, number: int, body: str) -> Call[schemas.CommentOut]:
    """Add a comment to an issue."""
    path = _project(project_id, f"/issues/{number}/comments")
    return Call("POST", path, "CommentOut", body={"body": body})


def changes(project_id: str) -> Call[list[schemas.ChangeOut]]:
    """Return the change requests of the built-in tracker."""
    return Call("GET", _project(project_id, "/changes"), "Changes", takes_items=True)


def change(project_id: str, number: int) -> Call[schemas.ChangeOut]:
    """Return one change request."""
    return Call("GET", _project(project_id, f"/changes/{number}"), "ChangeOut")


def change_diff(project_id: str, number: int) -> Call[bytes]:
    """Return the unified diff of a change request."""
    return Call("GET", _project(project_id, f"/changes/{number}/diff"))


def close_change(
    project_id: str, number: int, because: str | None = None, issue: str | None = None
) -> Call[schemas.ChangeOut]:
    """Close a change request without merging it; `issue` is `queue`, `park` or `close`."""
    body = only_given({"because": because, "issue": issue})
    return Call("POST", _project(project_id, f"/changes/{number}/close"), "ChangeOut", body=body)


def undo_change(project_id: str, number: int) -> Call[schemas.ChangeOut]:
    """Open the change request that takes back a merged one, or return it."""
    return Call("POST", _project(project_id, f"/changes/{number}/undo"), "ChangeOut")


def merge(project_id: str, number: int, *, push_anyway: bool = False) -> Call[schemas.ChangeOut]:
    """Merge a change request; `push_anyway` overrides a failed check."""
    body = {"push_anyway": True} if push_anyway else {}
    return Call("POST", _project(project_id, f"/changes/{number}/merge"), "ChangeOut", body=body)


def cancel_merge(project_id: str, number: int) -> Call[schemas.ChangeOut]:
    """Have the forge no longer merge a change request by itself."""
    return Call("POST", _project(project_id, f"/changes/{number}/cancel-merge"), "ChangeOut")
