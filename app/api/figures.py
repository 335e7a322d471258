"""What runs add up to, over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.api.schemas import DayFigures, FiguresOut, ProjectCounts, ProjectFigures
from app.domain.figures import NOTHING, Figures
from app.services.plane import Services

MAX_DAYS = 366


def statistics_routes(services: Services) -> APIRouter:
    """`/projects/{id}/figures` and `/projects/{id}/counts`."""
    router = APIRouter(tags=["projects"])

    @router.get("/projects/{project_id}/figures")
    def figures(
        project_id: str, days: Annotated[int, Query(ge=1, le=MAX_DAYS)] = 30
    ) -> ProjectFigures:
        """Outcomes, durations, tokens and cost of the last days (UTC, today included)."""
        found = services.figures.of_project(project_id, days, services.clock())
        return ProjectFigures(
            items=[DayFigures(day=day, **_out_of(one)) for day, one in found.items()],
            totals=FiguresOut(**_out_of(sum(found.values(), NOTHING))),
        )

    @router.get("/projects/{project_id}/counts")
    def counts(project_id: str) -> ProjectCounts:
        """How many runs, open issues and open change requests a project has."""
        return ProjectCounts.model_validate(services.figures.counts(project_id))

    return router


def _out_of(figures: Figures) -> dict[str, Any]:
    told = {name: getattr(figures, name) for name in FiguresOut.model_fields}
    if not figures.told_tokens:
        told |= {"input_tokens": None, "output_tokens": None}
    return told
