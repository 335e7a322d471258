"""Routes of a project's issues, comments and change requests."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import PlainTextResponse, Response

from app.api.http.dependencies import require_browser
from app.api.http.gate import visitor_of
from app.api.http.openapi import IN_A_BROWSER
from app.api.schemas import (
    Approval,
    ChangeOut,
    Changes,
    CloseOrder,
    CommentOut,
    Comments,
    IssueChange,
    IssueOut,
    Issues,
    IssueTextOut,
    MergeOrder,
    NewComment,
    NewIssue,
)
from app.api.schemas.review import FilePath
from app.api.views import QUARANTINE, change_out
from app.domain.words import AfterClose
from app.services.container import Services
from app.services.rows import Beside, current_act
from app.services.tracker.issue_views import IssueView

Numbered = Annotated[int, Path(ge=1, le=2**31 - 1)]


def routes(services: Services) -> APIRouter:
    """Build the routes of issues, comments and change requests."""
    router = APIRouter()
    router.routes.extend(_issue_routes(services).routes)
    router.routes.extend(_text_routes(services).routes)
    router.routes.extend(_comment_routes(services).routes)
    router.routes.extend(_change_routes(services).routes)
    router.routes.extend(_merging(services).routes)
    router.routes.extend(_closing(services).routes)
    router.routes.extend(_undoing(services).routes)
    return router


def _issue_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["issues"])

    @router.get("/projects/{project_id}/issues")
    def list_them(project_id: str) -> Issues:
        """A project's issues, lowest number first, each with the reason why it waits."""
        return Issues(items=[_issue_out(view) for view in services.issues.all(project_id)])

    @router.post("/projects/{project_id}/issues", status_code=201)
    def write(project_id: str, body: NewIssue) -> IssueOut:
        """Create an issue in the built-in tracker."""
        now = services.clock()
        new = services.issues.add(
            project_id, body.title, body.body, body.labels, now, body.priority, body.blocked_by
        )
        return _issue_out(new)

    @router.get("/projects/{project_id}/issues/{number}")
    def show(project_id: str, number: Numbered, as_seen: bool = False) -> IssueOut:
        """An issue; `as_seen` asks no forge but shows it as it was last read there."""
        if as_seen:
            return _issue_out(services.kept_issues.one(project_id, number))
        return _issue_out(services.issues.one(project_id, number))

    @router.patch("/projects/{project_id}/issues/{number}")
    def change(project_id: str, number: Numbered, body: IssueChange) -> IssueOut:
        """Edit, label, close or reopen an issue, or move it in the queue.

        With `was`, only if those values are current.
        """
        changes = body.model_dump(exclude_none=True, exclude={"was", "before", "after"})
        was = body.was.model_dump(exclude_none=True) if body.was else None
        changed = services.issues.change(
            project_id, number, changes, services.clock(), was, _place_of(body)
        )
        return _issue_out(changed)

    return router


def _text_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["issues"])

    @router.get("/projects/{project_id}/issues/{number}/text")
    def text(project_id: str, number: Numbered) -> IssueTextOut:
        """An issue's text beside the one that was labelled, for a person to approve."""
        return IssueTextOut.model_validate(services.approvals.text(project_id, number))

    @router.post("/projects/{project_id}/issues/{number}/approve-text", responses=IN_A_BROWSER)
    def approve(project_id: str, number: Numbered, body: Approval, request: Request) -> IssueOut:
        """Approve an issue's text that was changed after it was labelled: it starts by itself.

        `comments` are the ones by people without write access that prompts have from now on. 409
        `edited_meanwhile` if it has another text by now, or one of them is gone.
        """
        require_browser(services, request, f"/projects/{project_id}?tab=issues")
        services.approvals.approve(project_id, number, body.sha256, body.comments)
        return _issue_out(services.issues.one(project_id, number))

    return router


def _comment_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["issues"])

    @router.get("/projects/{project_id}/issues/{number}/comments", response_model_exclude_none=True)
    def list_them(project_id: str, number: Numbered, request: Request) -> Comments:
        """Comments on an issue, oldest first."""
        own, said = visitor_of(request).own_issue, services.issues.comments(project_id, number)
        if own is not None:
            # what another run's agent wrote is no person's word
            said = [one for one in said if one.run_id in (None, own.run_id)]
        return Comments(items=[CommentOut.model_validate(one) for one in said])

    @router.post(
        "/projects/{project_id}/issues/{number}/comments",
        status_code=201,
        response_model_exclude_none=True,
    )
    def write(project_id: str, number: Numbered, body: NewComment, request: Request) -> CommentOut:
        """Comment on an issue, open or closed."""
        visitor, now = visitor_of(request), services.clock()
        run = None
        if visitor.own_issue is not None:
            services.run_tokens.must_hold(visitor.own_issue, now)
            run = visitor.own_issue.run_id
        said = services.issues.comment(project_id, number, visitor.name, body.body, now, run_id=run)
        return CommentOut.model_validate(said)

    return router


def _change_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["changes"])

    @router.get("/projects/{project_id}/changes")
    def list_them(project_id: str) -> Changes:
        """A project's change requests, newest first."""
        changes, undone = services.changes.all(project_id), services.reverts.undone_by(project_id)
        return Changes(items=[change_out(one, undone.get(one.number)) for one in changes])

    @router.get("/projects/{project_id}/changes/{number}")
    def show(project_id: str, number: Numbered) -> ChangeOut:
        """A change request."""
        change = services.changes.find(project_id, number)
        is_merged = change.state == "merged"
        undone = services.reverts.undone_by(project_id) if is_merged else {}
        return change_out(change, undone.get(number))

    @router.get("/projects/{project_id}/changes/{number}/diff", response_class=PlainTextResponse)
    def diff(project_id: str, number: Numbered, file: FilePath | None = None) -> Response:
        """The diff of a change request, or of one of its files."""
        if file is None:
            found = services.changes.diff(project_id, number)
        else:
            found = services.reviews.diff(project_id, number, file)
        cut = {"X-Diff-Truncated": str(found.is_cut).lower()}
        return PlainTextResponse(found.text, headers=cut | QUARANTINE)

    return router


def _merging(services: Services) -> APIRouter:
    router = APIRouter(tags=["changes"])

    @router.post("/projects/{project_id}/changes/{number}/merge", responses=IN_A_BROWSER)
    def merge(
        project_id: str, number: Numbered, request: Request, body: MergeOrder | None = None
    ) -> ChangeOut:
        """Merge a change request, push to origin, and close the issue that it closes.

        Where its forge has a merge queue, or waits for required checks, the change stays open with
        `merge_waits`: the forge merges it by itself later.

        Commits that contain a secret or a file over the size limit, or that could not be checked
        for them, are refused unless `push_anyway` is true, here or when they were delivered.
        """
        require_browser(services, request, f"/projects/{project_id}/changes/{number}")
        services.changes.refuse_archived(project_id)
        push_anyway, now = body is not None and body.push_anyway, services.clock()
        if push_anyway and (act := current_act()) is not None:
            act.change({}, {"push_anyway": True})
        merged = services.changes.merge(project_id, number, now, push_anyway=push_anyway)
        return change_out(merged)

    @router.post("/projects/{project_id}/changes/{number}/cancel-merge")
    def cancel_merge(project_id: str, number: Numbered) -> ChangeOut:
        """Have the forge no longer merge a change request by itself; 409 if it has done so."""
        canceled = services.scheduled_merges.cancel(project_id, number, services.clock())
        return change_out(canceled)

    return router


def _closing(services: Services) -> APIRouter:
    router = APIRouter(tags=["changes"])

    @router.post("/projects/{project_id}/changes/{number}/close", responses=IN_A_BROWSER)
    def close(
        project_id: str, number: Numbered, request: Request, body: CloseOrder | None = None
    ) -> ChangeOut:
        """Close a change request without merging it; its issue's next prompt says why.

        Its issue goes back to the queue, stays out of it with the branch, or is closed.
        """
        require_browser(services, request, f"/projects/{project_id}/changes/{number}")
        order = body or CloseOrder()
        if order.issue is not AfterClose.PARK:
            services.changes.refuse_archived(project_id)
        closed = services.changes.close(
            project_id, number, services.clock(), order.because, order.issue
        )
        return change_out(closed)

    return router


def _undoing(services: Services) -> APIRouter:
    router = APIRouter(tags=["changes"])

    @router.post(
        "/projects/{project_id}/changes/{number}/undo",
        status_code=201,
        responses={200: {"model": ChangeOut, "description": "The one that is open already."}},
    )
    def undo(project_id: str, number: Numbered, response: Response) -> ChangeOut:
        """Open a change request that takes back a merged one; it is merged like any other.

        An issue that was closed stays closed. 409 `not_merged`, `already_undone`, `not_undone`, or
        `merge_conflict` if later commits changed the same lines.
        """
        services.changes.refuse_archived(project_id)
        undone = services.reverts.undo(project_id, number, services.clock())
        if not undone.is_new:
            response.status_code = 200
        return change_out(undone.change)

    return router


def _place_of(body: IssueChange) -> Beside | None:
    if body.before is not None:
        return Beside(body.before)
    return None if body.after is None else Beside(body.after, is_after=True)


def _issue_out(view: IssueView) -> IssueOut:
    return IssueOut.model_validate(view)
