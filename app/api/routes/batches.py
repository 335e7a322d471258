"""Routes of batches: create, fill from an NDJSON stream, list, stop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.http.dependencies import (
    Cursor,
    Key,
    Limit,
    requester_of,
    require_role,
    set_created_headers,
)
from app.api.http.gate import visitor_of
from app.api.http.problems import window_headers
from app.api.routes.batch_lines import Line, LineSplitter, item_of
from app.api.schemas import (
    Batches,
    BatchItemOut,
    BatchItems,
    BatchMade,
    BatchOrder,
    BatchOut,
    BatchReceipt,
    BatchReport,
    BatchTaken,
    StopOrder,
)
from app.api.views import named_run_out
from app.domain.batches import BatchStatus, label_of_batch, tally
from app.domain.words import Status, Trigger
from app.services.batches.batches import Receipt
from app.services.batches.filling import Filling
from app.services.container import Services
from app.services.rows import Batch, Run

log = structlog.get_logger()


SAME_NAME = (
    *("id", "project_id", "run_count", "because", "parent_run_id", "created_by"),
    *("created_at", "sealed_at", "ended_at", "correlation_id"),
)


def batch_out(services: Services, batch: Batch, counts: Mapping[str, int]) -> BatchOut:
    """Convert a batch with its run counts by status."""
    return BatchOut(
        project_name=services.projects.name_of(batch.project_id),
        status=BatchStatus(batch.status),
        label=label_of_batch(BatchStatus(batch.status), counts),
        counts=dict(counts),
        received=sum(counts.values()),
        **{name: getattr(batch, name) for name in SAME_NAME},
    )


def batch_report(services: Services, batch: Batch) -> BatchReport:
    """Convert a batch with its results."""
    batches = services.batches
    told = batch_out(services, batch, batches.counts([batch.id])[batch.id])
    sums = batches.sums(batch.id)
    return BatchReport(
        **told.model_dump(),
        missing=batches.missing(batch) if batch.status == BatchStatus.PENDING else [],
        cost_usd=sums.cost_usd,
        **tally(told.counts, no_change=sums.no_change).__dict__,
    )


def item_out(services: Services, index: int, run: Run) -> BatchItemOut:
    """Convert a batch item with its run."""
    return BatchItemOut(index=index, run=named_run_out(services, run))


def routes(services: Services) -> APIRouter:
    """Build the routes below `/batches`."""
    router = APIRouter()
    for some in (_making, _filling, _listing, _ending):
        router.routes.extend(some(services).routes)
    return router


def _making(services: Services) -> APIRouter:
    router = APIRouter(tags=["batches"])

    @router.post("/batches", status_code=202)
    def make(
        body: BatchOrder,
        request: Request,
        response: Response,
        x_idempotency_key: Key = None,
        idempotency_key: Key = None,
    ) -> BatchMade:
        """Create a batch of N runs; its items follow. The batch quota is charged now."""
        keys = (x_idempotency_key, idempotency_key, body.x_idempotency_key)
        require_role(services, request, "add_batch", body.project_id)
        requester = requester_of(services, request, *keys, trigger=Trigger.BATCH)
        opened = services.batches.open(
            body.project_id, body.run_count, body.parent_run_id, requester, services.clock()
        )
        address = f"/batches/{opened.batch.id}"
        set_created_headers(response, address, replayed=opened.replayed)
        response.headers.update(_window_of(services, requester.person_id))
        log.info("batch_opened", batch_id=opened.batch.id, is_replay=opened.replayed)
        return BatchMade(
            id=opened.batch.id, run_count=opened.batch.run_count, replayed=opened.replayed
        )

    return router


def _filling(services: Services) -> APIRouter:
    router = APIRouter(tags=["batches"])
    sent = {"requestBody": {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}}

    @router.post("/batches/{batch_id}/items", openapi_extra=sent)
    async def fill(batch_id: str, request: Request, response: Response) -> BatchReceipt:
        """Add items, one JSON object per line, in any number of calls; the last seals the batch.

        Until all items are in, the answer is `sealed: false`: send the missing ones again. A 502
        means that an external service did not answer: resend the items in its `indexes`; the others
        are in.
        """
        requester = requester_of(services, request, trigger=Trigger.BATCH)
        filling = await run_in_threadpool(services.batches.fill, batch_id, requester)
        splitter = LineSplitter()
        try:
            async for chunk in request.stream():
                await run_in_threadpool(_take, services, filling, splitter.feed(chunk))
            await run_in_threadpool(_take, services, filling, splitter.finish())
        finally:
            # even after an error: the lines received so far may complete the batch
            receipt = await run_in_threadpool(_seal, services, batch_id)
        standing = await run_in_threadpool(_window_of, services, requester.person_id)
        response.headers.update(standing)
        # up to a thousand lines: built on a thread to keep the event loop free
        return await run_in_threadpool(_receipt_out, filling, receipt)

    return router


def _window_of(services: Services, person_id: str) -> dict[str, str]:
    window = services.batches.window(person_id, services.clock())
    return window_headers(window.limit, window.remaining, window.reset_at)


def _take(services: Services, filling: Filling, lines: Iterable[Line]) -> None:
    for line in lines:
        filling.take(item_of(line, filling.batch.project_id), services.clock())


def _seal(services: Services, batch_id: str) -> Receipt:
    return services.batches.seal(batch_id, services.clock())


def _receipt_out(filling: Filling, receipt: Receipt) -> BatchReceipt:
    filling.append_undecided()
    items = [BatchTaken.model_validate(one) for one in filling.taken]
    return BatchReceipt(items=items, **receipt.__dict__)


def _listing(services: Services) -> APIRouter:
    router = APIRouter(tags=["batches"])

    @router.get("/batches")
    def list_them(
        project_id: str | None = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Batches:
        """Batches, newest first."""
        page = services.batches.page(project_id, limit=limit, cursor=cursor)
        counts = services.batches.counts([batch.id for batch in page.items])
        return Batches(
            items=[batch_out(services, batch, counts[batch.id]) for batch in page.items],
            next_cursor=page.next_cursor,
            prev_cursor=page.prev_cursor,
        )

    @router.get("/batches/{batch_id}")
    def show(batch_id: str) -> BatchReport:
        """A batch: its progress, its missing items, and its results."""
        return batch_report(services, services.batches.find(batch_id))

    @router.get("/batches/{batch_id}/items")
    def items(
        batch_id: str,
        status: Annotated[list[Status] | None, Query()] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> BatchItems:
        """The items of a batch, in their order."""
        page = services.batches.items(batch_id, tuple(status or ()), limit=limit, cursor=cursor)
        return BatchItems(
            items=[item_out(services, index, run) for index, run in page.items],
            next_cursor=page.next_cursor,
            prev_cursor=page.prev_cursor,
        )

    return router


def _ending(services: Services) -> APIRouter:
    router = APIRouter(tags=["batches"])

    @router.post("/batches/{batch_id}/stop")
    def stop(batch_id: str, request: Request, body: StopOrder | None = None) -> BatchOut:
        """Stop a batch: waiting runs do not start, live runs are stopped and their work is kept."""
        because = (body.because if body else None) or f"stopped by {visitor_of(request).name}"
        batch = services.batches.stop(batch_id, because, services.clock())
        return batch_report(services, batch)

    return router
