"""Routes of the inbox, of approvals, the report and the search over everything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request

from app.api.http.dependencies import Cursor, Limit, require_role
from app.api.http.gate import visitor_of
from app.api.schemas.approvals import (
    ApprovalAnswer,
    ApprovalOut,
    ApprovalRefusal,
    ApprovalsPage,
)
from app.api.schemas.inbox import (
    InboxCounts,
    InboxItem,
    InboxOut,
    ProjectReportOut,
    ReadBody,
    ReportOfRuns,
    UnreadOut,
)
from app.api.schemas.parts import InUtc, NoNul
from app.api.schemas.search import ProjectFound, SearchOut, TitleFound
from app.api.views import run_item
from app.domain.projects.approvals import ApprovalState
from app.domain.review.inbox import counts_of
from app.domain.statistics import Figures
from app.services.approvals.approvals import ApprovalView
from app.services.container import Services
from app.services.rows import ApprovalFilter

Words = Annotated[str, Query(max_length=200), NoNul]
StateName = Literal["pending", "approved", "rejected", "expired", "withdrawn", "all"]
Wanted = Annotated[StateName, Query(description="Pending ones by default.")]
Numbered = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
Named = Annotated[str | None, Query(max_length=100), NoNul]
Since = Annotated[datetime | None, Query(description="Left out: since your last visit."), InUtc]


def routes(services: Services) -> APIRouter:
    """Build the routes of the inbox, `GET /report` and `GET /search`."""
    router = APIRouter(tags=["inbox"])

    @router.get("/inbox")
    def inbox(request: Request) -> InboxOut:
        """Everything over all projects that waits for a person."""
        items = services.inbox.all()
        unread = services.unread.ids(visitor_of(request).person_id)
        return InboxOut(
            items=[
                InboxItem.model_validate(
                    {**vars(one), "group": one.group, "action": one.action}
                    | {"unread": one.id in unread}
                )
                for one in items
            ],
            counts=InboxCounts.model_validate(counts_of(items)),
        )

    @router.get("/report")
    def report(request: Request, since: Since = None) -> ReportOfRuns:
        """The sums of the runs that ended since a moment, in all and by project."""
        moment = since or services.visits.since(visitor_of(request).person_id)
        found = services.reports.since(moment, services.clock())
        return ReportOfRuns(
            since=found.since,
            until=found.until,
            **_sums(found.figures, found.waiting_for_limit),
            projects=[
                ProjectReportOut(
                    project_id=one.project_id,
                    project_name=one.project_name,
                    **_sums(one.figures, one.waiting_for_limit),
                )
                for one in found.projects
            ],
        )

    router.routes.extend(_unread(services).routes)
    router.routes.extend(_search(services).routes)
    return router


def _unread(services: Services) -> APIRouter:
    router = APIRouter(tags=["inbox"])

    @router.get("/inbox/unread")
    def unread(request: Request) -> UnreadOut:
        """The items that you have not read, or that came back since."""
        return _unread_out(services.unread.ids(visitor_of(request).person_id))

    @router.post("/inbox/read")
    def read(request: Request, body: ReadBody) -> UnreadOut:
        """Mark items as read, and return those that are still unread.

        Ids that the inbox does not have are left out.
        """
        return _unread_out(services.unread.mark_read(visitor_of(request).person_id, body.ids))

    return router


def _search(services: Services) -> APIRouter:
    router = APIRouter(tags=["inbox"])

    @router.get("/search")
    def search(q: Words) -> SearchOut:
        """Projects, issues and change requests, and runs that the words name.

        At most eight of each. Issues and change requests are those of the built-in tracker: open
        ones by title or project, any by number. Runs are found as by `GET /runs`.
        """
        found = services.search.find(q)
        names = services.projects.names_of({run.project_id for run in found.runs})
        return SearchOut(
            projects=[ProjectFound.model_validate(one) for one in found.projects],
            titles=[TitleFound.model_validate(one) for one in found.titles],
            runs=[run_item(run, names.get(run.project_id, "")) for run in found.runs],
        )

    return router


def _unread_out(ids: set[str]) -> UnreadOut:
    return UnreadOut(unread=len(ids), ids=sorted(ids))


def _sums(figures: Figures, waiting_for_limit: int) -> dict[str, Any]:
    return {
        "delivered": figures.succeeded,
        "failed": figures.died + figures.timed_out + figures.not_started,
        "waiting_for_limit": waiting_for_limit,
        "agent_seconds": figures.worked_ms / 1000,
        "cost_usd": figures.cost_usd,
        "cost_unknown": figures.began - figures.told_cost,
    }


def approval_routes(services: Services) -> APIRouter:
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
        _require_role(services, request, "approve", approval_id)
        person_id, comment = visitor_of(request).person_id, body.comment if body else ""
        approvals.approve(approval_id, person_id, comment, services.clock())
        return _out(approvals.view(approval_id))

    @router.post("/approvals/{approval_id}/reject")
    def reject(approval_id: str, request: Request, body: ApprovalRefusal) -> ApprovalOut:
        """Reject it, for a reason; a run is stopped, a change is not merged at this commit."""
        _require_role(services, request, "reject", approval_id)
        person_id = visitor_of(request).person_id
        approvals.reject(approval_id, person_id, body.comment, services.clock())
        return _out(approvals.view(approval_id))

    return router


def _require_role(services: Services, request: Request, deed: str, approval_id: str) -> None:
    """Raise Forbidden if this person may not answer in the approval's project."""
    project_id = services.approval_requests.find(approval_id).project_id
    require_role(services, request, deed, project_id)


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
