"""Routes of approvals: what waits for one, and the answers of people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request

from app.api.http.dependencies import Cursor, Limit
from app.api.http.gate import visitor_of
from app.api.schemas.approvals import (
    ApprovalAnswer,
    ApprovalOut,
    ApprovalRefusal,
    ApprovalsPage,
)
from app.api.schemas.parts import NoNul
from app.domain.approvals import ApprovalState
from app.services.approvals.approvals import ApprovalView
from app.services.container import Services
from app.services.rows import ApprovalFilter

StateName = Literal["pending", "approved", "rejected", "expired", "withdrawn", "all"]
Wanted = Annotated[StateName, Query(description="Pending ones by default.")]
Numbered = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
Named = Annotated[str | None, Query(max_length=100), NoNul]


def routes(services: Services) -> APIRouter:
    """Build the routes `/approvals…`."""
    router = APIRouter(tags=["approvals"])
    approvals = services.approval_requests

    @router.get("/approvals")
    def list_them(
        state: Wanted = "pending",
        project_id: Named = None,
        run_id: Named = None,
        change: Numbered = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> ApprovalsPage:
        """Starts and merges that wait for approval, newest first, or those that were answered."""
        wanted = ApprovalFilter(
            None if state == "all" else ApprovalState(state), project_id, run_id, change
        )
        found, after, before = approvals.page(wanted, limit=limit, cursor=cursor)
        return ApprovalsPage(items=_outs(found), next_cursor=after, prev_cursor=before)

    @router.get("/approvals/{approval_id}")
    def show(approval_id: str) -> ApprovalOut:
        """One approval, pending or answered."""
        return _out(approvals.view(approval_id))

    @router.post("/approvals/{approval_id}/approve")
    def approve(
        approval_id: str, request: Request, body: ApprovalAnswer | None = None
    ) -> ApprovalOut:
        """Approve it; a run joins the queue, a change may be merged once enough people approved."""
        person_id, comment = visitor_of(request).person_id, body.comment if body else ""
        approvals.approve(approval_id, person_id, comment, services.clock())
        return _out(approvals.view(approval_id))

    @router.post("/approvals/{approval_id}/reject")
    def reject(approval_id: str, request: Request, body: ApprovalRefusal) -> ApprovalOut:
        """Reject it, for a reason; a run is stopped, a change is not merged at this commit."""
        person_id = visitor_of(request).person_id
        approvals.reject(approval_id, person_id, body.comment, services.clock())
        return _out(approvals.view(approval_id))

    return router


def _outs(views: Sequence[ApprovalView]) -> list[ApprovalOut]:
    return [_out(one) for one in views]


def _out(view: ApprovalView) -> ApprovalOut:
    row = view.row
    return ApprovalOut.model_validate(
        {
            **row.model_dump(exclude={"answers", "trigger"}),
            "project_name": view.project_name,
            "asked_by_name": view.name_of(row.asked_by),
            "needed": view.needed,
            "approvals": view.approvals,
            "answers": [{**vars(one), "name": view.name_of(one.person)} for one in view.answers],
            "url": view.path,
        }
    )
