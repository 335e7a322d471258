"""What is kept of runs that are over, over HTTP."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.schemas import CopiesOut, LeavingOut, RetentionOut
from app.services.copy_retention import CopyStanding
from app.services.plane import Services
from app.services.retention import SHOWN, Standing


def retention_routes(services: Services) -> APIRouter:
    """`/retention`."""
    router = APIRouter()

    @router.get("/retention")
    def retention() -> RetentionOut:
        """What is kept, and which logs and copies go, and when, oldest first."""
        desk = services.retention
        return retention_out(desk.standing(services.clock()), desk.copies.standing())

    return router


def retention_out(standing: Standing, copies: CopyStanding) -> RetentionOut:
    """Both standings, with the first of what goes."""
    return RetentionOut(
        keep_days=standing.terms.keep_days,
        keep_gb=standing.terms.keep_gb,
        kept_runs=standing.kept_runs,
        kept_bytes=standing.kept_bytes,
        leaving_runs=len(standing.leaving),
        leaving_bytes=standing.leaving_bytes,
        next_at=standing.next_at,
        leaving=[LeavingOut.model_validate(one) for one in standing.leaving[:SHOWN]],
        copies=CopiesOut(
            kept=copies.kept,
            bytes=copies.bytes,
            unmeasured=copies.unmeasured,
            staying=copies.staying,
            staying_bytes=copies.staying_bytes,
            leaving_copies=len(copies.leaving),
            leaving_bytes=copies.leaving_bytes,
            next_at=copies.next_at,
            looked_at=copies.looked_at,
            leaving=[LeavingOut.model_validate(one) for one in copies.leaving[:SHOWN]],
        ),
    )
