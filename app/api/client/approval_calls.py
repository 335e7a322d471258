"""Every call about approvals that Runyard's own clients make."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from app.api.client.protocol import Call

if TYPE_CHECKING:
    from app.api import schemas


def approvals(
    *,
    state: str = "pending",
    project_id: str | None = None,
    run_id: str | None = None,
    change: int | None = None,
    cursor: str | None = None,
) -> Call[schemas.ApprovalsPage]:
    """Return a page of approvals, newest first; by default of those that are pending."""
    params = {"state": state, "project_id": project_id, "run_id": run_id, "change": change}
    return Call("GET", "/approvals", "ApprovalsPage", params={**params, "cursor": cursor})


def approve(approval_id: str, comment: str = "") -> Call[schemas.ApprovalOut]:
    """Approve a start or a merge."""
    path = f"/approvals/{quote(approval_id, safe='')}/approve"
    return Call("POST", path, "ApprovalOut", body={"comment": comment})


def reject(approval_id: str, comment: str) -> Call[schemas.ApprovalOut]:
    """Reject a start or a merge, for a reason."""
    path = f"/approvals/{quote(approval_id, safe='')}/reject"
    return Call("POST", path, "ApprovalOut", body={"comment": comment})
