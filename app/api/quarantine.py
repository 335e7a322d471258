"""What Runyard cannot go on with by itself, over HTTP."""

from __future__ import annotations

import logging

from fastapi import APIRouter

from app.api.schemas import QuarantineOut, StuckOut
from app.services.plane import Services

log = logging.getLogger(__name__)


def quarantine_routes(services: Services) -> APIRouter:
    """Everything below `/quarantine`."""
    router = APIRouter(tags=["quarantine"])

    @router.get("/quarantine")
    def quarantine() -> QuarantineOut:
        """What was tried five times, always failed by a fault of Runyard's, and is tried no more.

        What could not be decided, for something outside did not answer, is never in it.
        """
        held = services.quarantine.held()
        return QuarantineOut(items=[StuckOut.model_validate(one) for one in held])

    @router.post("/quarantine/{key}/retry")
    def try_again(key: str) -> StuckOut:
        """Let it be tried again, five times; it is tried soon."""
        freed = services.quarantine.try_again(key)
        services.sweep.request()
        log.info("%s is tried again", key)
        return StuckOut.model_validate(freed)

    return router
