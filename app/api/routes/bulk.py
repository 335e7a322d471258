"""Routes of bulk actions: stop or retry many runs."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response

from app.api.http.dependencies import (
    Cursor,
    Key,
    Limit,
    requester_of,
    require_role_in_all,
    set_created_headers,
)
from app.api.http.gate import visitor_of
from app.api.schemas import BulkFilter, BulkItemOut, BulkItems, BulkOrder, BulkOut, Bulks
from app.domain.batches import BulkAction, BulkState
from app.services.container import Services
from app.services.rows import Bulk, RunFilter

# the reason of an action for which none is given
DONE = {BulkAction.STOP: "stopped", BulkAction.RETRY: "retried"}


def routes(services: Services) -> APIRouter:
    """Build the routes below `/bulk`."""
    router = APIRouter()
    for some in (_ordering, _read_routes):
        router.routes.extend(some(services).routes)
    return router


def _ordering(services: Services) -> APIRouter:
    router = APIRouter(tags=["bulk"])

    @router.post("/bulk", status_code=202)
    def order(
        body: BulkOrder,
        request: Request,
        response: Response,
        x_idempotency_key: Key = None,
        idempotency_key: Key = None,
    ) -> BulkOut:
        """Stop or retry all runs that match the filter now; the choice is fixed here.

        With a key that was used before, the answer is that bulk action with its current progress.
        """
        because = body.because or f"{DONE[body.action]} by {visitor_of(request).name}"
        keys = (x_idempotency_key, idempotency_key, body.x_idempotency_key)
        requester = requester_of(services, request, *keys)
        wanted = _filter(body.filter)
        allow = partial(require_role_in_all, services, request, "bulk")
        # also where no run matches
        if wanted.project_id:
            allow([wanted.project_id])
        if wanted.batch_id:
            allow([services.batches.project_of(wanted.batch_id)])
        ordered = services.bulk.order(
            body.action, wanted, because, requester, services.clock(), allow
        )
        address = f"/bulk/{ordered.bulk.id}"
        set_created_headers(response, address, replayed=ordered.replayed)
        return _counted_bulk_out(services, ordered.bulk)

    @router.post("/bulk/{bulk_id}/abort")
    def abort(bulk_id: str, request: Request) -> BulkOut:
        """Abort a bulk action; runs that it has not reached yet stay as they are."""
        projects = services.bulk.projects_of(bulk_id)
        require_role_in_all(services, request, "abort_bulk", projects)
        return _counted_bulk_out(services, services.bulk.abort(bulk_id, services.clock()))

    return router


def _read_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["bulk"])

    @router.get("/bulk")
    def list_them(limit: Limit = 20) -> Bulks:
        """The latest bulk actions, newest first."""
        return Bulks(
            items=[_counted_bulk_out(services, bulk) for bulk in services.bulk.newest(limit)]
        )

    @router.get("/bulk/{bulk_id}")
    def show(bulk_id: str) -> BulkOut:
        """The progress of a bulk action."""
        return _counted_bulk_out(services, services.bulk.find(bulk_id))

    @router.get("/bulk/{bulk_id}/items")
    def items(
        bulk_id: str,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> BulkItems:
        """The runs of a bulk action, and the outcome of each."""
        page = services.bulk.page(bulk_id, limit=limit, cursor=cursor)
        return BulkItems(
            items=[BulkItemOut.model_validate(item) for item in page.items],
            next_cursor=page.next_cursor,
            prev_cursor=page.prev_cursor,
        )

    return router


def _filter(wanted: BulkFilter) -> RunFilter:
    return RunFilter(
        wanted.project_id,
        tuple(wanted.status),
        wanted.phase,
        wanted.trigger,
        wanted.branch,
        wanted.q,
        batch_id=wanted.batch_id,
        issue=wanted.issue,
        depth=wanted.depth_level,
        framework=wanted.target_framework,
        agent=wanted.agent,
        tag=wanted.tag,
        created_after=wanted.created_after,
        created_before=wanted.created_before,
    )


def _counted_bulk_out(services: Services, bulk: Bulk) -> BulkOut:
    counts = services.bulk.counts(bulk.id)
    states = {str(state): counts.get(state, 0) for state in BulkState}
    return BulkOut.model_validate({**bulk.model_dump(), "total": sum(counts.values()), **states})
