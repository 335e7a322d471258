"""Routes of the inbox and the report."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from app.api.http.gate import visitor_of
from app.api.schemas.inbox import (
    InboxCounts,
    InboxItem,
    InboxOut,
    ProjectReportOut,
    ReportOfRuns,
)
from app.api.schemas.parts import InUtc
from app.domain.review.inbox import counts_of
from app.domain.statistics import Figures
from app.services.container import Services

Since = Annotated[datetime | None, Query(description="Left out: since your last visit."), InUtc]


def routes(services: Services) -> APIRouter:
    """Build `GET /inbox` and `GET /report`."""
    router = APIRouter(tags=["inbox"])

    @router.get("/inbox")
    def inbox() -> InboxOut:
        """Everything over all projects that waits for a person."""
        items = services.inbox.all()
        return InboxOut(
            items=[InboxItem.model_validate(one) for one in items],
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

    return router


def _sums(figures: Figures, waiting_for_limit: int) -> dict[str, Any]:
    return {
        "delivered": figures.succeeded,
        "failed": figures.died + figures.timed_out + figures.not_started,
        "waiting_for_limit": waiting_for_limit,
        "agent_seconds": figures.worked_ms / 1000,
        "cost_usd": figures.cost_usd,
        "cost_unknown": figures.began - figures.told_cost,
    }
