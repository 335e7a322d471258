"""Kept work over HTTP: the list, discard, and what is done about a run that ended otherwise."""

from __future__ import annotations

import logging
from dataclasses import asdict

from fastapi import APIRouter, Request, Response

from app.api.asking import Key, asker_of, deed_of, require_browser
from app.api.description import IN_A_BROWSER
from app.api.gate import visitor_of
from app.api.runs import told
from app.api.schemas import DeliverOrder, Discard, Discarded, Parked, ParkedOut, RunOut
from app.services.plane import Services

log = logging.getLogger(__name__)


def routes(services: Services) -> APIRouter:
    """`/parked`, and the runs' `deliver` and `release`."""
    router = APIRouter(tags=["parked"])
    for some in (_keeping, _ending):
        router.include_router(some(services))
    return router


def _keeping(services: Services) -> APIRouter:
    router = APIRouter()

    @router.get("/parked")
    def list_them() -> Parked:
        """Everything that is kept, oldest first; a size is null until it has been measured."""
        kept = services.parked.all(services.clock())
        return Parked(items=[ParkedOut(**asdict(view)) for view in kept])

    @router.post("/parked/discard")
    def discard(body: Discard, request: Request) -> Discarded:
        """Delete a parked branch with its copies, without any check.

        `confirm` repeats it; it may be left out where neither a commit nor a file would be lost.
        """
        sentence = f"{body.branch} discarded by {visitor_of(request).name}"
        deed = deed_of(request, "discard", sentence, project_id=body.project_id)
        count = services.parked.discard(
            body.project_id, body.branch, body.confirm, deed, services.clock()
        )
        log.info("%s of %s is discarded", body.branch, body.project_id)
        return Discarded(project_id=body.project_id, branch=body.branch, runs=count)

    return router


def _ending(services: Services) -> APIRouter:
    router = APIRouter()

    @router.post("/runs/{run_id}/deliver", responses=IN_A_BROWSER)
    def deliver(
        run_id: str,
        request: Request,
        response: Response,
        x_idempotency_key: Key = None,
        idempotency_key: Key = None,
        body: DeliverOrder | None = None,
    ) -> RunOut:
        """Push the commits of a run that ended without delivery, and open its change request.

        Commits that contain a secret or a file that is too large, or that could not be checked for
        them, are refused, unless somebody says `push_anyway`.
        """
        push_anyway = body is not None and body.push_anyway
        if push_anyway:
            require_browser(services, request, f"/runs/{run_id}")
        key = asker_of(services, request, x_idempotency_key, idempotency_key).key
        done = "pushed anyway" if push_anyway else "delivered"
        sentence = f"{done} by {visitor_of(request).name}"
        deed = deed_of(request, "deliver", sentence, run_id=run_id)
        run, replayed = services.salvage.deliver(
            run_id, deed, key, services.clock(), push_anyway=push_anyway
        )
        if replayed:
            response.headers["Idempotency-Replayed"] = "true"
        log.info("run %s is delivered by hand", run_id)
        return told(services, run)

    @router.post("/runs/{run_id}/release")
    def release(run_id: str, request: Request) -> RunOut:
        """Give up on proving that nothing of an ended run lives; its work stays parked."""
        sentence = f"released by {visitor_of(request).name}: something of it may still live"
        deed = deed_of(request, "release", sentence, run_id=run_id)
        run = services.salvage.release(run_id, deed, services.clock())
        log.warning("run %s is released without the proof of its end", run_id)
        return told(services, run)

    return router
