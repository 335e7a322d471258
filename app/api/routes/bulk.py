"""Routes of bulk actions: stop or retry many runs."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.http.dependencies import Cursor, Key, Limit, requester_of, set_created_headers
from app.api.http.gate import visitor_of
from app.api.schemas import BulkFilter, BulkItemOut, BulkItems, BulkOrder, BulkOut, Bulks
from app.domain.batches import BulkState
from app.services.container import Services
from app.services.rows import Bulk, RunFilter


def routes(services: Services) -> APIRouter:
    """Build the routes below `/bulk`."""
    router = APIRouter()
    for some in (_ordering, _telling):
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
        """Stop or retry every run that the filter finds now; which ones is settled here.

        Under a key that has made an order before, that one is answered, as far as it is.
        """
        because = body.because or f"stopped by {visitor_of(request).name}"
        keys = (x_idempotency_key, idempotency_key, body.x_idempotency_key)
        requester = requester_of(services, request, *keys)
        wanted = _filter(body.filter)
        ordered = services.bulk.order(body.action, wanted, because, requester, services.clock())
        address = f"/bulk/{ordered.bulk.id}"
        set_created_headers(response, address, replayed=ordered.replayed)
        return _told(services, ordered.bulk)

    @router.post("/bulk/{bulk_id}/abort")
    def abort(bulk_id: str) -> BulkOut:
        """Leave the runs that were not reached yet as they are."""
        return _told(services, services.bulk.abort(bulk_id, services.clock()))

    return router


def _telling(services: Services) -> APIRouter:
    router = APIRouter(tags=["bulk"])

    @router.get("/bulk")
    def list_them(limit: Limit = 20) -> Bulks:
        """The latest bulk actions, newest first."""
        return Bulks(items=[_told(services, bulk) for bulk in services.bulk.newest(limit)])

    @router.get("/bulk/{bulk_id}")
    def show(bulk_id: str) -> BulkOut:
        """How far it is."""
        return _told(services, services.bulk.find(bulk_id))

    @router.get("/bulk/{bulk_id}/items")
    def items(
        bulk_id: str,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> BulkItems:
        """Its runs and what came of each."""
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


def _told(services: Services, bulk: Bulk) -> BulkOut:
    counts = services.bulk.counts(bulk.id)
    states = {str(state): counts.get(state, 0) for state in BulkState}
    return BulkOut.model_validate({**bulk.model_dump(), "total": sum(counts.values()), **states})
