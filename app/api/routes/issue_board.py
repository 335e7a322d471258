"""The route of the issues of all projects."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.routes.runs import Word
from app.api.schemas.issue_board import (
    BoardChange,
    BoardIssueOut,
    BoardOut,
    BoardProjectOut,
    BoardRun,
)
from app.domain.tracker.issue_states import IssueState
from app.domain.words import Priority
from app.services.container import Services
from app.services.review.issue_board import CLOSED, Board, BoardIssue, Wanted

MOST = 2000
Projects = Annotated[list[str], Query(max_length=200)]
States = Annotated[list[IssueState], Query()]
Labels = Annotated[list[str], Query(max_length=50)]
Most = Annotated[int, Query(ge=1, le=MOST)]
Closed = Annotated[int, Query(ge=0, le=MOST, description="How many closed issues at most.")]


def routes(services: Services) -> APIRouter:
    """Build `GET /issues`."""
    router = APIRouter(tags=["issues"])

    @router.get("/issues")
    def issues(
        project_id: Projects = [],  # noqa: B006 - FastAPI copies it
        state: States = [],  # noqa: B006
        label: Labels = [],  # noqa: B006
        q: Word = None,
        limit: Most = MOST,
        closed: Closed = CLOSED,
    ) -> BoardOut:
        """The issues of all projects that are not archived, each with what happens next.

        The open ones and the newest closed ones.
        """
        wanted = Wanted(tuple(project_id), tuple(state), tuple(label), q or "")
        return _board_out(services.issue_board.look(wanted, limit=limit, closed=closed))

    return router


def _board_out(board: Board) -> BoardOut:
    return BoardOut(
        items=[_issue_out(one) for one in board.issues],
        counts={state: board.counts.get(state, 0) for state in IssueState},
        projects=[BoardProjectOut.model_validate(one) for one in board.projects],
    )


def _issue_out(issue: BoardIssue) -> BoardIssueOut:
    run, size, standing = issue.run, issue.size, issue.standing
    return BoardIssueOut.model_construct(
        project_id=issue.project_id,
        project_name=issue.project_name,
        number=issue.number,
        title=issue.title,
        labels=list(issue.labels),
        priority=Priority(issue.priority),
        rank=issue.rank,
        state=standing.state,
        next=standing.next,
        tone=standing.tone,
        blocked_by=list(issue.blocked_by),
        may_run=standing.may_run,
        limit_until=standing.limit.until if standing.limit else None,
        agent=issue.agent,
        updated_at=issue.updated_at,
        run=BoardRun.model_validate(run) if run else None,
        run_id=issue.run_id,
        change=issue.change,
        size=BoardChange.model_validate(size) if size else None,
        url=issue.url,
        assignees=list(issue.assignees),
        milestone=issue.milestone,
        as_of=issue.as_of,
    )
