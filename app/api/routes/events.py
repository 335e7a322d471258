"""Server-sent events: all changes, or one run until it ends."""

from __future__ import annotations

import asyncio
import codecs
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from app.api.http.gate import visitor_of
from app.api.live import LiveStream
from app.api.live_events import FEED_BROKE, STREAMED, LiveEvent, inbox_event, json_of
from app.api.views import event_out, named_run_out, project_out, run_item
from app.domain.lifecycle import DONE
from app.domain.words import Status
from app.errors import NotFound
from app.services.container import Services
from app.services.people.visitor import Visitor
from app.services.review.inbox import INBOX_CHANGES
from app.services.rows import RunFilter

LAST_WORD = "end"
HEARTBEAT_SECONDS = 15
QUEUE = 2000
LOG_CHUNK = 64 * 1024
SNAPSHOT_RUNS = 50
_PLACE = re.compile(r"(\d{1,18})-(\d{1,18})", re.ASCII)


class StreamOver(Exception):
    """The reader is too slow or the server stops; the stream ends and the client can resume."""


class _Subscription:
    """A bounded queue of live events for one stream."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[LiveEvent | None] = asyncio.Queue(QUEUE)

    def on_event(self, event: LiveEvent) -> None:
        try:
            self.queue.put_nowait(event)
        except asyncio.QueueFull:
            self.end()

    def end(self) -> None:
        """Drop the unread events and end the stream."""
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)

    async def next(self) -> LiveEvent | None:
        """Return the next event, or None when a heartbeat is due. Raises StreamOver."""
        try:
            event = await asyncio.wait_for(self.queue.get(), HEARTBEAT_SECONDS)
        except TimeoutError:
            return None
        if event is None:
            raise StreamOver
        return event


def routes(services: Services, live: LiveStream, *, epoch: str) -> APIRouter:
    """Build `GET /events` and `GET /runs/{id}/events`; `epoch` identifies this server start."""
    router = APIRouter(tags=["events"])

    @router.get("/events", response_class=StreamingResponse)
    async def everything(request: Request) -> Response:
        """Changes of runs, projects and quota; `Last-Event-ID` resumes the stream."""
        return _stream(_everything(services, live, epoch, request))

    @router.get("/runs/{run_id}/events", response_class=StreamingResponse)
    async def one_run(run_id: str, request: Request) -> Response:
        """A run's timeline, log and end; reconnecting after its end gives 204."""
        if await run_in_threadpool(services.listing.find_or_none, run_id) is None:
            raise NotFound
        seen = request.headers.get("Last-Event-ID", "")
        if seen == LAST_WORD:
            return Response(status_code=204)
        return _stream(RunStream(services, live, run_id, seen, visitor_of(request)).events())

    return router


def _stream(events: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(
        events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


def _message(kind: str, data: Any, id_: str) -> str:
    return _packed(kind, json_of(data), id_)


def _packed(kind: str, text: str, id_: str) -> str:
    return f"id: {id_}\nevent: {kind}\ndata: {text}\n\n"


@asynccontextmanager
async def _subscribed(live: LiveStream, visitor: Visitor) -> AsyncGenerator[_Subscription]:
    subscription = _Subscription()
    leave, let_go = live.subscribe(subscription.on_event, visitor), live.warn(subscription.end)
    try:
        yield subscription
    finally:
        leave()
        let_go()


async def _everything(
    services: Services, live: LiveStream, epoch: str, request: Request
) -> AsyncIterator[str]:
    visitor, last_seen = visitor_of(request), request.headers.get("Last-Event-ID")
    async with _subscribed(live, visitor) as subscription:
        yield ": from here on nothing is missed\n\n"
        number = services.feed.newest
        missed = await _missed(services, live, epoch, last_seen)
        if isinstance(missed, dict):
            yield _message("snapshot", missed, f"{epoch}-{number}")
        else:
            for event in missed:
                if not event.is_for(visitor):
                    continue
                yield _packed(event.kind, event.json, f"{epoch}-{event.number}")
        while True:
            try:
                event = await subscription.next()
            except StreamOver:
                return
            if event is None:
                yield ": still here\n\n"
            elif event.kind in STREAMED:
                yield _packed(event.kind, event.json, f"{epoch}-{event.number}")
            elif event.kind == FEED_BROKE:
                whole = await run_in_threadpool(_snapshot, services)
                yield _message("snapshot", whole, f"{epoch}-{event.number}")


async def _missed(
    services: Services, live: LiveStream, epoch: str, last_seen: str | None
) -> list[LiveEvent] | dict[str, Any]:
    """Return the events that a reader missed, or a snapshot if the feed no longer has them."""
    if last_seen is None:
        return []
    start, _, number = last_seen.rpartition("-")
    known = number.isascii() and number.isdigit() and len(number) < 19 and start == epoch
    changes = services.feed.since(int(number)) if known else None
    if changes is None:
        return await run_in_threadpool(_snapshot, services)
    events = await run_in_threadpool(live.events_of, changes)
    if any(isinstance(one.change, INBOX_CHANGES) for one in changes):
        items = await run_in_threadpool(services.inbox.all)
        events.append(inbox_event(items, changes[-1].number))
    return [event for event in events if event.kind in STREAMED]


def _snapshot(services: Services) -> dict[str, Any]:
    runs = services.listing.page(RunFilter(), limit=SNAPSHOT_RUNS).items
    names = services.projects.names_of({run.project_id for run in runs})
    mask = services.secrets.mask()
    return {
        "projects": [
            project_out(view, mask).model_dump(mode="json") for view in services.overview.all()
        ],
        "runs": [
            run_item(run, names.get(run.project_id, "")).model_dump(mode="json") for run in runs
        ],
    }


class RunStream:
    """One run as an event stream: past timeline, new events, the growing log, then the end."""

    def __init__(
        self, services: Services, live: LiveStream, run_id: str, seen: str, visitor: Visitor
    ) -> None:
        self._visitor = visitor
        self._services = services
        self._live = live
        self._run_id = run_id
        # an event id holds the last timeline event and the log offset sent so far
        place = _PLACE.fullmatch(seen)
        self._after, self._position = (int(place[1]), int(place[2])) if place else (0, 0)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    async def events(self) -> AsyncIterator[str]:
        """Yield the stream's messages until the run ends."""
        async with _subscribed(self._live, self._visitor) as subscription:
            async for message in self._catch_up():
                yield message
            while not await run_in_threadpool(self._is_over):
                try:
                    event = await subscription.next()
                except StreamOver:
                    return
                if event is None:
                    yield ": still here\n\n"
                elif event.run_id == self._run_id or event.kind == FEED_BROKE:
                    async for message in self._catch_up():
                        yield message
            async for message in self._catch_up():
                yield message
            yield await run_in_threadpool(self._last_word)

    async def _catch_up(self) -> AsyncIterator[str]:
        for message in await run_in_threadpool(self._stages):
            yield message
        while message := await run_in_threadpool(self._log):
            yield message

    def _stages(self) -> list[str]:
        run = self._services.listing.find_or_none(self._run_id)
        status = run.status if run else ""
        messages: list[str] = []
        for event in self._services.listing.timeline(self._run_id, after=self._after):
            self._after = event.id or self._after
            data = {"status": status, **event_out(event).model_dump(mode="json")}
            messages.append(_message("stage_update", data, self._place))
        return messages

    def _log(self) -> str | None:
        piece = self._services.listing.log(self._run_id).read(self._position, LOG_CHUNK)
        if not piece.content:
            return None
        data = {
            "offset": self._position,
            "next": piece.next_offset,
            "text": self._decoder.decode(piece.content),
        }
        self._position = piece.next_offset
        return _message("log", data, self._place)

    @property
    def _place(self) -> str:
        # an incomplete UTF-8 character is read again on resume
        return f"{self._after}-{self._position - len(self._decoder.getstate()[0])}"

    def _is_over(self) -> bool:
        run = self._services.listing.find_or_none(self._run_id)
        return run is None or run.status in DONE

    def _last_word(self) -> str:
        run = self._services.listing.find_or_none(self._run_id)
        if run is None:
            return ""
        kinds = {Status.SUCCEEDED: "run_succeeded", Status.STOPPED: "run_stopped"}
        out = named_run_out(self._services, run)
        return _message(kinds.get(Status(run.status), "run_failed"), out, LAST_WORD)
