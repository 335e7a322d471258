"""Retry over HTTP: a run that is over, once more as a run of its own."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Request, Response

from app.api.asking import Key, asker_of, tell_accepted
from app.api.releases import once_released
from app.api.runs import told
from app.api.schemas import RetryOrder, RunOut
from app.services.plane import Services
from app.services.retry import Wishes

log = logging.getLogger(__name__)


def retry_routes(services: Services) -> APIRouter:
    """`/runs/{id}/retry`."""
    router = APIRouter(tags=["runs"])

    @router.post(
        "/runs/{run_id}/retry",
        status_code=201,
        responses={200: {"model": RunOut, "description": "The run that the key has made before."}},
    )
    async def retry(
        run_id: str,
        request: Request,
        response: Response,
        body: RetryOrder | None = None,
        x_idempotency_key: Key = None,
        idempotency_key: Key = None,
    ) -> RunOut:
        """Run it again as a new run: on what it left, or from the base.

        While a retry of it is open, another one is refused unless `again` is true. Between the
        run's end and its release this waits, for at most 15 s.
        """
        body = body or RetryOrder()
        keys = (x_idempotency_key, idempotency_key, body.x_idempotency_key)
        asker = asker_of(services, request, *keys)
        wishes = Wishes(
            agent=body.agent,
            model=body.model,
            source=body.source,
            task=body.task,
            branch=body.branch,
            beside=body.again,
        )

        def accept() -> RunOut:
            accepted = services.retry.retry(run_id, wishes, asker, services.clock())
            tell_accepted(response, accepted)
            log.info("run %s repeats %s", accepted.run.id, run_id)
            return told(services, accepted.run)

        return await once_released(services, accept)

    return router
