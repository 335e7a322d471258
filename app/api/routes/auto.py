"""Routes of a project's auto loop: start, switch, reset, and the next plan."""

from __future__ import annotations

import structlog
from fastapi import APIRouter, Request, Response

from app.api.http.dependencies import (
    Key,
    accepted_answer,
    audited_act,
    requester_of,
    switch_auto,
)
from app.api.routes.releases import once_released
from app.api.schemas import (
    AfkStart,
    AutoSwitch,
    IssueHold,
    NextPlan,
    ProjectOut,
    RunOut,
    WouldStart,
)
from app.api.views import named_run_out, project_out
from app.services.container import Services

log = structlog.get_logger()


def routes(services: Services) -> APIRouter:
    """Build the routes `/projects/{id}/afk/…` and `/projects/{id}/next`."""
    router = APIRouter()
    router.routes.extend(_starting(services).routes)
    router.routes.extend(_looping(services).routes)
    return router


def _starting(services: Services) -> APIRouter:
    router = APIRouter(tags=["afk"])

    @router.post(
        "/projects/{project_id}/afk/start",
        status_code=201,
        response_model=RunOut,
        responses={200: {"model": RunOut, "description": "The run that this key already created."}},
    )
    async def start(
        project_id: str,
        request: Request,
        body: AfkStart | None = None,
        x_idempotency_key: Key = None,
        idempotency_key: Key = None,
    ) -> Response:
        """Start an AFK run on this issue, or on the first claimable one; works while paused."""
        in_body = body.x_idempotency_key if body else None
        requester = requester_of(services, request, x_idempotency_key, idempotency_key, in_body)
        issue = body.issue if body else None

        def accept() -> Response:
            accepted = services.afk.start(project_id, issue, requester, services.clock())
            log.info("run_accepted", run_id=accepted.run.id, issue=accepted.run.issue)
            return accepted_answer(
                accepted, named_run_out(services, accepted.run, accepted.project)
            )

        return await once_released(services, accept)

    return router


def _looping(services: Services) -> APIRouter:
    router = APIRouter(tags=["afk"])

    @router.put("/projects/{project_id}/afk/auto")
    def set_auto(project_id: str, body: AutoSwitch, request: Request) -> ProjectOut:
        """Switch auto runs on or off; the failure count stays."""
        switch_auto(services, request, project_id, enabled=body.enabled)
        return project_out(services.overview.of(project_id), services.secrets.mask())

    @router.post("/projects/{project_id}/afk/reset")
    def reset(project_id: str, request: Request) -> ProjectOut:
        """Reset the failure count; a sweep follows at once."""
        deed = audited_act(
            request, "reset", "the count of failures was reset", project_id=project_id
        )
        services.afk.reset(project_id, deed, services.clock())
        return project_out(services.overview.of(project_id), services.secrets.mask())

    @router.get("/projects/{project_id}/next")
    def plan(project_id: str) -> NextPlan:
        """The next sweep's plan with its reasons, and why each other open issue waits."""
        found = services.afk.plan(project_id, services.clock())
        return NextPlan(
            would=WouldStart(issue=found.would) if found.would else None,
            because=found.because,
            holds=[IssueHold(issue=number, because=why) for number, why in found.holds],
        )

    return router
