"""Routes of parked work, retry and quarantine."""

from __future__ import annotations

from dataclasses import asdict

import structlog
from fastapi import APIRouter, Request, Response

from app.api.http.dependencies import (
    Key,
    audited_act,
    requester_of,
    require_browser,
    require_role,
    set_accepted_headers,
)
from app.api.http.gate import visitor_of
from app.api.http.openapi import IN_A_BROWSER
from app.api.routes.releases import once_released
from app.api.schemas import (
    DeliverOrder,
    Discard,
    Discarded,
    Parked,
    ParkedOut,
    QuarantineOut,
    RetryOrder,
    RunOut,
    StuckOut,
)
from app.api.views import named_run_out
from app.services.container import Services
from app.services.kept.retry import RetryOptions

log = structlog.get_logger()


def routes(services: Services) -> APIRouter:
    """Build `/parked` and the runs' `deliver` and `release`."""
    router = APIRouter()
    for some in (_keeping, _ending):
        router.routes.extend(some(services).routes)
    return router


def _keeping(services: Services) -> APIRouter:
    router = APIRouter(tags=["parked"])

    @router.get("/parked")
    def list_them() -> Parked:
        """All kept work, oldest first; a size is null until it has been measured."""
        kept = services.parked.all(services.clock())
        return Parked(items=[ParkedOut(**asdict(view)) for view in kept])

    @router.post("/parked/discard")
    def discard(body: Discard, request: Request) -> Discarded:
        """Delete a parked branch and its copies without further checks.

        `confirm` repeats the branch; it may be omitted if no commit or file would be lost.
        """
        require_role(services, request, "discard", body.project_id)
        sentence = f"{body.branch} discarded by {visitor_of(request).name}"
        deed = audited_act(request, "discard", sentence, project_id=body.project_id)
        count = services.parked.discard(
            body.project_id, body.branch, body.confirm, deed, services.clock()
        )
        log.info("branch_discarded", branch=body.branch, project_id=body.project_id)
        return Discarded(project_id=body.project_id, branch=body.branch, runs=count)

    return router


def _ending(services: Services) -> APIRouter:
    router = APIRouter(tags=["parked"])

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

        Commits that contain a secret or a file over the size limit, or that could not be checked
        for them, are refused unless `push_anyway` is true.
        """
        push_anyway = body is not None and body.push_anyway
        if push_anyway:
            require_browser(services, request, f"/runs/{run_id}")
        key = requester_of(services, request, x_idempotency_key, idempotency_key).key
        done = "pushed anyway" if push_anyway else "delivered"
        sentence = f"{done} by {visitor_of(request).name}"
        deed = audited_act(request, "deliver", sentence, run_id=run_id)
        run, replayed = services.salvage.deliver(
            run_id, deed, key, services.clock(), push_anyway=push_anyway
        )
        if replayed:
            response.headers["Idempotency-Replayed"] = "true"
        log.info("run_delivered_by_hand", run_id=run_id)
        return named_run_out(services, run)

    @router.post("/runs/{run_id}/release")
    def release(run_id: str, request: Request) -> RunOut:
        """Force-release an ended run without proof that its processes are gone; work is kept."""
        sentence = f"released by {visitor_of(request).name}: something of it may still live"
        deed = audited_act(request, "release", sentence, run_id=run_id)
        run = services.salvage.release(run_id, deed, services.clock())
        log.warning("run_released_without_proof", run_id=run_id)
        return named_run_out(services, run)

    return router


def retry_routes(services: Services) -> APIRouter:
    """Build `/runs/{id}/retry`."""
    router = APIRouter(tags=["runs"])

    @router.post(
        "/runs/{run_id}/retry",
        status_code=201,
        responses={200: {"model": RunOut, "description": "The run that this key already created."}},
    )
    async def retry(
        run_id: str,
        request: Request,
        response: Response,
        body: RetryOrder | None = None,
        x_idempotency_key: Key = None,
        idempotency_key: Key = None,
    ) -> RunOut:
        """Retry as a new run, on the work that the run left or from the base.

        While another retry of it is open, this is refused unless `again` is true. Between a run's
        end and its release the call waits, for at most 15 s.
        """
        body = body or RetryOrder()
        keys = (x_idempotency_key, idempotency_key, body.x_idempotency_key)
        requester = requester_of(services, request, *keys)
        wishes = RetryOptions(
            agent=body.agent,
            model=body.model,
            source=body.source,
            task=body.task,
            template=body.template,
            branch=body.branch,
            beside=body.again,
        )

        def accept() -> RunOut:
            accepted = services.retry.retry(run_id, wishes, requester, services.clock())
            set_accepted_headers(response, accepted)
            log.info("run_accepted", run_id=accepted.run.id, repeats=run_id)
            return named_run_out(services, accepted.run)

        return await once_released(services, accept)

    return router


def quarantine_routes(services: Services) -> APIRouter:
    """Build the routes below `/quarantine`."""
    router = APIRouter(tags=["quarantine"])

    @router.get("/quarantine")
    def quarantine() -> QuarantineOut:
        """Operations that failed five times by a fault in Runyard and are no longer retried.

        Operations that failed because an external service did not answer are never listed.
        """
        held = services.quarantine.held()
        return QuarantineOut(items=[StuckOut.model_validate(one) for one in held])

    @router.post("/quarantine/{key}/retry")
    def try_again(key: str) -> StuckOut:
        """Retry a quarantined item soon, up to five times."""
        freed = services.quarantine.try_again(key)
        services.sweep.request()
        log.info("quarantine_released", key=key)
        return StuckOut.model_validate(freed)

    return router
