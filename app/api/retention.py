"""What is kept of runs that are over, over HTTP."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.schemas import LeavingOut, RetentionOut
from app.services.plane import Services
from app.services.retention import SHOWN, Standing


def routes(services: Services) -> APIRouter:
    """`/retention`."""
    router = APIRouter()

    @router.get("/retention")
    def retention() -> RetentionOut:
        """What is kept, and which logs go at the next round, oldest first."""
        return retention_out(services.retention.standing(services.clock()))

    return router


def retention_out(standing: Standing) -> RetentionOut:
    """The standing, with the first of what goes."""
    return RetentionOut(
        keep_days=standing.terms.keep_days,
        keep_gb=standing.terms.keep_gb,
        kept_runs=standing.kept_runs,
        kept_bytes=standing.kept_bytes,
        leaving_runs=len(standing.leaving),
        leaving_bytes=standing.leaving_bytes,
        next_at=standing.next_at,
        leaving=[LeavingOut.model_validate(one) for one in standing.leaving[:SHOWN]],
    )
