"""Usage limits over HTTP: the accounts that are held, lifting one by hand, resuming a run."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Request, Response

from app.api.asking import Key, asker_of, deed_of, tell_accepted
from app.api.releases import once_released
from app.api.runs import told
from app.api.schemas import AccountHoldOut, AccountHolds, HoldLift, ResumeOrder, RunOut
from app.services.plane import Services

log = logging.getLogger(__name__)


def routes(services: Services) -> APIRouter:
    """`/quota/accounts` and `/runs/{id}/resume`."""
    router = APIRouter(tags=["runs"])

    @router.get("/quota/accounts")
    def accounts() -> AccountHolds:
        """The agents' accounts that are at their usage limit, oldest first."""
        return _holds(services)

    @router.post("/quota/accounts/lift")
    def lift(body: HoldLift, request: Request) -> AccountHolds:
        """End a hold now: the runs that wait for it follow one by one."""
        what = f"{body.agent} {body.family}".strip()
        deed = deed_of(request, "lift hold", f"the usage limit of {what} was lifted by hand")
        services.limits.lift(body.agent, body.family, deed, services.clock())
        services.sweep.request()
        return _holds(services)

    @router.post(
        "/runs/{run_id}/resume",
        status_code=201,
        responses={200: {"model": RunOut, "description": "The run that the key has made before."}},
    )
    async def resume(
        run_id: str,
        request: Request,
        response: Response,
        body: ResumeOrder | None = None,
        x_idempotency_key: Key = None,
        idempotency_key: Key = None,
    ) -> RunOut:
        """Go on now with a run that a usage limit ended, as a new run; never `account_held`."""
        keys = (x_idempotency_key, idempotency_key, body.x_idempotency_key if body else None)
        asker = asker_of(services, request, *keys)

        def accept() -> RunOut:
            accepted = services.resume.resume(run_id, asker, services.clock())
            tell_accepted(response, accepted)
            log.info("run %s goes on with %s", accepted.run.id, run_id)
            return told(services, accepted.run)

        return await once_released(services, accept)

    return router


def _holds(services: Services) -> AccountHolds:
    views = services.limits.views(services.clock())
    return AccountHolds(
        items=[
            AccountHoldOut(
                **{name: getattr(view.hold, name) for name in _SAME},
                stand=view.stand.value,
                waiting=view.waiting,
                sentence=view.sentence,
            )
            for view in views
        ]
    )


_SAME = ("agent", "family", "since", "until", "evidence", "run_id", "probe_run_id", "hits")
