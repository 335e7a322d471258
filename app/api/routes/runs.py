"""Routes of runs: submit, stop, list, show, diff."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import AwareDatetime

from app.api.http.dependencies import (
    Cursor,
    Key,
    Limit,
    accepted_answer,
    order_of_run,
    requester_of,
    require_role,
)
from app.api.http.gate import visitor_of
from app.api.routes import exports, run_logs
from app.api.routes.releases import once_released
from app.api.schemas import (
    DeliveryOut,
    ReportOut,
    RunChecks,
    RunOrder,
    RunOut,
    RunPlan,
    RunsPage,
    RunsTotal,
    RunsTotals,
    StopOrder,
    Timeline,
)
from app.api.schemas.parts import InUtc, NoNul
from app.api.views import QUARANTINE, check_out, event_out, named_run_out, report_out, run_item
from app.domain.words import Depth, Phase, RunSort, Status, Trigger
from app.errors import NotFound
from app.services.container import Services
from app.services.rows import RunFilter

log = structlog.get_logger()


Word = Annotated[str | None, Query(max_length=200), NoNul]
Instant = Annotated[AwareDatetime, InUtc]
Branch = Annotated[str | None, Query(max_length=244), NoNul]


async def asked_for(
    project_id: Word = None,
    status: Annotated[list[Status] | None, Query()] = None,
    phase: Phase | None = None,
    trigger: Trigger | None = None,
    branch: Branch = None,
    issue: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    depth_level: Depth | None = None,
    target_framework: Word = None,
    agent: Word = None,
    tag: Word = None,
    batch_id: Word = None,
    created_after: Instant | None = None,
    created_before: Instant | None = None,
    q: Word = None,
) -> RunFilter:
    """Build the run filter from the query parameters."""
    return RunFilter(
        project_id,
        tuple(status or ()),
        phase,
        trigger,
        branch,
        q,
        batch_id,
        issue=issue,
        depth=depth_level,
        framework=target_framework,
        agent=agent,
        tag=tag,
        created_after=created_after,
        created_before=created_before,
    )


Asked = Annotated[RunFilter, Depends(asked_for)]


def routes(services: Services) -> APIRouter:
    """Build the routes below `/runs`."""
    router = APIRouter()
    # exports first: /runs/export is no run
    for some in (_starting, _listing, exports.routes, _read_routes, _content, run_logs.routes):
        router.routes.extend(some(services).routes)
    return router


def _starting(services: Services) -> APIRouter:
    router = APIRouter(tags=["runs"])

    @router.post(
        "/runs",
        status_code=201,
        response_model=RunOut,
        responses={200: {"model": RunOut, "description": "The run that this key already created."}},
    )
    async def start_run(
        body: RunOrder,
        request: Request,
        x_idempotency_key: Key = None,
        idempotency_key: Key = None,
    ) -> Response:
        """Accept a run; 200 with the existing one if this key already created it."""
        keys = (x_idempotency_key, idempotency_key, body.x_idempotency_key)
        require_role(services, request, "start", body.project_id)
        requester = requester_of(services, request, *keys)
        order = order_of_run(body)

        def accept() -> Response:
            accepted = services.accept.accept(order, requester, services.clock())
            log.info("run_accepted", run_id=accepted.run.id, is_replay=accepted.replayed)
            return accepted_answer(
                accepted, named_run_out(services, accepted.run, accepted.project)
            )

        return await once_released(services, accept)

    @router.post("/runs/{run_id}/stop")
    def stop(run_id: str, request: Request, body: StopOrder | None = None) -> RunOut:
        """Stop a run; it does not count as a failure, and its work stays parked."""
        because = (body.because if body else None) or f"stopped by {visitor_of(request).name}"
        return named_run_out(services, services.stopper.stop(run_id, because, services.clock()))

    @router.patch("/runs/{run_id}")
    def plan(run_id: str, body: RunPlan, request: Request) -> RunOut:
        """Change the start of a delayed run, or start it now; 409 `already_started` for others."""
        who, now = visitor_of(request).name, services.clock()
        if body.starts_at is None:
            return named_run_out(services, services.planned.start_now(run_id, who, now))
        return named_run_out(services, services.planned.move(run_id, body.starts_at, who, now))

    return router


def _listing(services: Services) -> APIRouter:
    router = APIRouter(tags=["runs"])

    # the answer is written in the thread that reads: pydantic writes 50 runs as fast as one thread
    # takes over from another
    @router.get("/runs", response_model=RunsPage)
    def list_them(
        wanted: Asked,
        limit: Limit = 50,
        cursor: Cursor = None,
        sort: RunSort = RunSort.NEWEST,
    ) -> Response:
        """Runs, newest first, or with `sort=cost` those whose cost is known, dearest first.

        `q` finds runs by issue number, by work branch or its beginning, by the beginning or ending
        of the id, and by words of the title or of a tag. `#7` means issue 7, or a title or tag that
        says `#7`. Without `project_id`, titles and tags are not searched for `#` and an issue, or
        for the beginning of an id, if the other filters let a run of it pass. Searches by project,
        status, phase, trigger, batch, issue, branch, or branch and project cover all runs. Words of
        titles and tags, other filters, and an issue or branch combined with others are matched only
        in the newest 20,000 runs of that project, issue or branch, or of all; then `looked_among`
        says so. With `created_before` those are the newest before that time. By cost, any filter
        other than the project is matched only in the newest 20,000.
        """
        page = services.listing.page(wanted, limit=limit, cursor=cursor, sort=sort)
        names = services.projects.names_of({run.project_id for run in page.items})
        found = RunsPage(
            items=[run_item(run, names.get(run.project_id, "")) for run in page.items],
            next_cursor=page.next_cursor,
            prev_cursor=page.prev_cursor,
            looked_among=page.looked_among,
        )
        return Response(found.model_dump_json(), media_type="application/json")

    @router.get("/runs/totals")
    def totals(wanted: Asked) -> RunsTotals:
        """The number and cost of the runs that match, by status and cause: the newest 20,000."""
        found, looked_among = services.listing.totals(wanted)
        return RunsTotals(
            items=[RunsTotal.model_validate(one) for one in found],
            looked_among=looked_among,
        )

    return router


def _read_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["runs"])

    @router.get("/runs/{run_id}")
    def show(run_id: str) -> RunOut:
        """A run."""
        return named_run_out(services, services.listing.find(run_id))

    @router.get("/runs/{run_id}/timeline")
    def timeline(run_id: str) -> Timeline:
        """A run's events, oldest first."""
        services.listing.find(run_id)
        return Timeline(items=[event_out(event) for event in services.listing.timeline(run_id)])

    @router.get("/runs/{run_id}/checks")
    def checks(run_id: str) -> RunChecks:
        """The checks of a run with their results, one per check and round, oldest first."""
        run, mask = services.listing.find(run_id), services.secrets.mask()
        found = services.listing.checks(run_id)
        return RunChecks(items=[check_out(one, run, mask) for one in found])

    @router.get("/runs/{run_id}/report")
    def report(run_id: str) -> ReportOut:
        """The agent's report of its work so far: tools, files, tokens, cost, final message."""
        return report_out(services, services.listing.find(run_id))

    @router.get("/runs/{run_id}/pull_request")
    def pull_request(run_id: str) -> DeliveryOut:
        """The change that the run delivered; 404 if it has delivered none."""
        run = services.listing.find(run_id)
        if run.delivery is None:
            raise NotFound("This run has delivered nothing.")
        return DeliveryOut.model_validate(run.delivery)

    return router


def _content(services: Services) -> APIRouter:
    router = APIRouter(tags=["runs"])

    @router.get("/runs/{run_id}/diff", response_class=PlainTextResponse)
    def diff(run_id: str) -> Response:
        """A unified diff against the recorded base; of the working copy's files while it exists."""
        run = services.listing.find(run_id)
        found = services.listing.diff(run)
        cut = {"X-Diff-Truncated": str(found.is_cut).lower()}
        return PlainTextResponse(found.text, headers=cut | QUARANTINE)

    return router
