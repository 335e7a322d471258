"""Routes of usage limits: held accounts, lifting a hold, resuming a run; and key reset."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Path, Request, Response

from app.api.http.dependencies import Key, audited_act, requester_of, set_accepted_headers
from app.api.http.gate import visitor_of
from app.api.routes.releases import once_released
from app.api.schemas import (
    AccountHoldOut,
    AccountHolds,
    HoldLift,
    KeyOut,
    KeyReset,
    ResumeOrder,
    RunOut,
)
from app.api.views import named_run_out
from app.services.container import Services
from app.services.limits.usage_limits import HoldView
from app.services.rows import DatabaseSilent, Run, current_reach

log = structlog.get_logger()


_SAME = ("agent", "family", "since", "until", "evidence", "run_id", "probe_run_id", "hits")
KeyInPath = Annotated[str, Path(pattern=r"^[\x21-\x7e]{1,255}$")]


def routes(services: Services) -> APIRouter:
    """Build `/quota/accounts` and `/runs/{id}/resume`."""
    router = APIRouter(tags=["runs"])

    @router.get("/quota/accounts")
    def accounts() -> AccountHolds:
        """Agent accounts at their usage limit, oldest first."""
        return _holds(services)

    @router.post("/quota/accounts/lift")
    def lift(body: HoldLift, request: Request) -> AccountHolds:
        """Lift a hold now; its waiting runs start one at a time."""
        what = f"{body.agent} {body.family}".strip()
        deed = audited_act(request, "lift hold", f"the usage limit of {what} was lifted by hand")
        services.limits.lift(body.agent, body.family, deed, services.clock())
        services.sweep.request()
        return _holds(services)

    @router.post(
        "/runs/{run_id}/resume",
        status_code=201,
        responses={200: {"model": RunOut, "description": "The run that this key already created."}},
    )
    async def resume(
        run_id: str,
        request: Request,
        response: Response,
        body: ResumeOrder | None = None,
        x_idempotency_key: Key = None,
        idempotency_key: Key = None,
    ) -> RunOut:
        """Resume a run that ended at a usage limit, now and as a new run; never `account_held`."""
        keys = (x_idempotency_key, idempotency_key, body.x_idempotency_key if body else None)
        requester = requester_of(services, request, *keys)

        def accept() -> RunOut:
            accepted = services.resume.resume(run_id, requester, services.clock())
            set_accepted_headers(response, accepted)
            log.info("run_accepted", run_id=accepted.run.id, resumes=run_id)
            return named_run_out(services, accepted.run)

        return await once_released(services, accept)

    return router


def _holds(services: Services) -> AccountHolds:
    views = services.limits.views(services.clock())
    try:
        runs = services.listing.find_all(view.hold.run_id for view in views)
    except DatabaseSilent:
        # accounts are in the other database; of whom it limits, it is not known what they may see
        if current_reach() is not None:
            raise
        runs = {}
    return AccountHolds(items=[_hold(view, runs.get(view.hold.run_id)) for view in views])


def _hold(view: HoldView, run: Run | None) -> AccountHoldOut:
    out = AccountHoldOut(
        **{name: getattr(view.hold, name) for name in _SAME},
        stand=view.stand.value,
        waiting=view.waiting,
        sentence=view.sentence,
        project_id=run.project_id if run is not None else "",
    )
    if current_reach() is None or run is not None:
        return out
    # accounts are shared: the words of a run that this person may not see are not
    hidden = {"evidence": "", "run_id": "", "probe_run_id": None}
    return out.model_copy(update=hidden)


def key_routes(services: Services) -> APIRouter:
    """Build the routes below `/idempotency-keys`."""
    router = APIRouter(tags=["runs"])

    @router.post("/idempotency-keys/{key:path}/reset")
    def reset(key: KeyInPath, body: KeyReset, request: Request) -> KeyOut:
        """Detach your own key from its run, whatever its state; its next use starts a new run.

        The run is not affected.
        """
        project = services.projects.find(body.project_id)
        person_id = visitor_of(request).person_id
        run = services.keys.reset(project.id, key, person_id, services.clock())
        return KeyOut(key=key, project_id=project.id, run_id=run.id)

    return router
