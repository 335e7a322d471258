"""Routes of reviews: the files of a change request, comments on it, and requests for changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from app.api.http.dependencies import Key, accepted_answer, requester_of
from app.api.http.gate import visitor_of
from app.api.routes.releases import once_released
from app.api.schemas import RunOut
from app.api.schemas.review import (
    ChangeCommentOut,
    ChangeComments,
    ChangeFile,
    ChangeFiles,
    ChangeHistoryOut,
    ChangesRequest,
    CommentChange,
    CommitOut,
    DoneComment,
    NewChangeComment,
    RequestOut,
    ViewedMark,
)
from app.api.views import named_run_out
from app.domain.words import Side
from app.services.container import Services
from app.services.review.feedback import Wanted
from app.services.review.places import CommentView
from app.services.review.reviews import FileView, NewComment
from app.services.runs.requests import Accepted

Numbered = Annotated[int, Path(ge=1, le=2**31 - 1)]
_CHANGE = "/projects/{project_id}/changes/{number}"


def routes(services: Services) -> APIRouter:
    """Build the routes of a change request's files, comments and requests."""
    router = APIRouter()
    for some in (_files, _history, _comments, _requests, _resolving, _fixing):
        router.routes.extend(some(services).routes)
    return router


def _files(services: Services) -> APIRouter:
    router = APIRouter(tags=["changes"])

    @router.get(f"{_CHANGE}/files")
    def list_them(project_id: str, number: Numbered, request: Request) -> ChangeFiles:
        """The files of a change request, by path, with the marks that you set."""
        person_id = visitor_of(request).person_id
        found = services.reviews.files(project_id, number, person_id)
        return ChangeFiles(items=[_file_out(one) for one in found])

    @router.put(f"{_CHANGE}/files/viewed", status_code=204)
    def mark(project_id: str, number: Numbered, body: ViewedMark, request: Request) -> Response:
        """Mark a file as viewed, or not; the mark counts until its content changes."""
        services.reviews.set_viewed(
            project_id, number, visitor_of(request).person_id, body.path, is_viewed=body.viewed
        )
        return Response(status_code=204)

    return router


def _history(services: Services) -> APIRouter:
    router = APIRouter(tags=["changes"])

    @router.get(f"{_CHANGE}/history")
    def show(project_id: str, number: Numbered, request: Request) -> ChangeHistoryOut:
        """The commits of a change request, the requests for changes, and which commit did what."""
        person_id = visitor_of(request).person_id
        found = services.histories.of(project_id, number, person_id)
        return ChangeHistoryOut(
            commits=[CommitOut.model_validate(one) for one in found.commits],
            requests=[RequestOut.model_validate(one) for one in found.requests],
            done=[DoneComment(comment=one, commit=sha) for one, sha in found.done.items()],
        )

    return router


def _comments(services: Services) -> APIRouter:
    router = APIRouter(tags=["changes"])
    every, one = f"{_CHANGE}/comments", f"{_CHANGE}/comments/{{comment_id}}"

    @router.get(every)
    def list_them(project_id: str, number: Numbered, request: Request) -> ChangeComments:
        """The comments on a change request that were sent, and your drafts, oldest first."""
        person_id = visitor_of(request).person_id
        found = services.reviews.comments(project_id, number, person_id)
        return ChangeComments(items=[_comment_out(view) for view in found])

    @router.post(every, status_code=201)
    def write(
        project_id: str, number: Numbered, body: NewChangeComment, request: Request
    ) -> ChangeCommentOut:
        """Write a draft: on a line, on a file, or on the whole change."""
        visitor = visitor_of(request)
        new = NewComment(body.text, body.file, body.line, body.side)
        author = visitor.person_id, visitor.name
        return _comment_out(
            services.reviews.comment(project_id, number, author, new, services.clock())
        )

    @router.patch(one)
    def edit(
        project_id: str,
        number: Numbered,
        comment_id: Numbered,
        body: CommentChange,
        request: Request,
    ) -> ChangeCommentOut:
        """Change the text of your draft."""
        person_id = visitor_of(request).person_id
        edited = services.reviews.edit(project_id, number, person_id, comment_id, body.text)
        return _comment_out(edited)

    @router.delete(one, status_code=204)
    def remove(
        project_id: str, number: Numbered, comment_id: Numbered, request: Request
    ) -> Response:
        """Delete your draft."""
        services.reviews.remove(project_id, number, visitor_of(request).person_id, comment_id)
        return Response(status_code=204)

    return router


def _requests(services: Services) -> APIRouter:
    router = APIRouter(tags=["changes"])

    @router.post(
        f"{_CHANGE}/request-changes",
        status_code=201,
        response_model=RunOut,
        responses={200: {"model": RunOut, "description": "The run that this key already created."}},
    )
    async def request_changes(
        project_id: str,
        number: Numbered,
        body: ChangesRequest,
        request: Request,
        x_idempotency_key: Key = None,
        idempotency_key: Key = None,
    ) -> Response:
        """Send your drafts to an agent: a run on the same branch, whose commits update the change.

        409 `change_closed` once the change is merged or closed.
        """
        requester = requester_of(services, request, x_idempotency_key, idempotency_key)
        wanted = Wanted(visitor_of(request).name, body.text, body.comments)
        return await _answer_with_run(
            services,
            lambda: services.feedback.request_changes(
                project_id, number, wanted, requester, services.clock()
            ),
        )

    return router


def _resolving(services: Services) -> APIRouter:
    router = APIRouter(tags=["changes"])

    @router.post(
        f"{_CHANGE}/resolve",
        status_code=201,
        response_model=RunOut,
        responses={200: {"model": RunOut, "description": "The run that this key already created."}},
    )
    async def resolve(
        project_id: str,
        number: Numbered,
        request: Request,
        x_idempotency_key: Key = None,
        idempotency_key: Key = None,
    ) -> Response:
        """Have an agent resolve the conflicts: a run that merges the base and updates the change.

        409 `no_conflict` without conflicts, `change_closed` once it is merged or closed.
        """
        requester = requester_of(services, request, x_idempotency_key, idempotency_key)
        return await _answer_with_run(
            services,
            lambda: services.resolving.resolve(project_id, number, requester, services.clock()),
        )

    return router


def _fixing(services: Services) -> APIRouter:
    router = APIRouter(tags=["changes"])

    @router.post(
        f"{_CHANGE}/fix-ci",
        status_code=201,
        response_model=RunOut,
        responses={200: {"model": RunOut, "description": "The run that this key already created."}},
    )
    async def fix_ci(
        project_id: str,
        number: Numbered,
        request: Request,
        x_idempotency_key: Key = None,
        idempotency_key: Key = None,
    ) -> Response:
        """Have an agent fix what CI found wrong: a run with the failed jobs and their logs.

        409 `ci_not_failed` unless CI failed, `change_closed` once it is merged or closed.
        """
        requester = requester_of(services, request, x_idempotency_key, idempotency_key)
        return await _answer_with_run(
            services,
            lambda: services.ci_fixing.fix(project_id, number, requester, services.clock()),
        )

    return router


async def _answer_with_run(services: Services, accept: Callable[[], Accepted]) -> Response:
    """Have a run accepted, once earlier ones have released its branch; 200 for a known key."""

    def send() -> Response:
        accepted = accept()
        return accepted_answer(accepted, named_run_out(services, accepted.run, accepted.project))

    return await once_released(services, send)


def _file_out(view: FileView) -> ChangeFile:
    return ChangeFile(
        path=view.file.path,
        previous=view.file.previous,
        status=view.file.status,
        additions=view.file.additions,
        deletions=view.file.deletions,
        folded=view.is_folded,
        viewed=view.is_viewed,
    )


def _comment_out(view: CommentView) -> ChangeCommentOut:
    row = view.row
    return ChangeCommentOut(
        id=row.id or 0,
        file=view.file,
        line=view.line,
        side=Side(row.side),
        text=row.text,
        draft=view.is_draft,
        outdated=view.is_outdated,
        author=row.author,
        created_at=row.created_at,
        round=row.round,
    )
