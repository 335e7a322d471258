"""Routes of a run's log: raw bytes, readable entries, search."""

from __future__ import annotations

from email.utils import format_datetime
from enum import StrEnum
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse

from app.api.http.openapi import SCHEMAS
from app.api.schemas import LogEntry, LogHitOut, LogHitsOut
from app.api.views import QUARANTINE
from app.services.container import Services
from app.services.ports import LogView
from app.services.runs.log_search import LogHits
from app.services.runs.readable_log import MAX_PART_BYTES, LogPart

# larger than any log, yet a valid offset for every file system
FAR = 2**62
NDJSON = "application/x-ndjson"
SEARCHES = 2


class LogForm(StrEnum):
    """Format of a log."""

    RAW = "raw"
    READABLE = "readable"


def routes(services: Services) -> APIRouter:
    """Build `/runs/{id}/log` and its search."""
    router = APIRouter(tags=["runs"])
    entries = {"content": {NDJSON: {"schema": {"$ref": f"{SCHEMAS}LogEntry"}}}}

    @router.get("/runs/{run_id}/log", response_class=PlainTextResponse, responses={200: entries})
    def log(
        run_id: str,
        offset: Annotated[int, Query(ge=-FAR, le=FAR)] = 0,
        limit: Annotated[int | None, Query(ge=1, le=FAR)] = None,
        form: LogForm = LogForm.RAW,
    ) -> Response:
        """The bytes that the agent wrote, from a position; a negative one counts from the end.

        `form=readable`: for an agent that writes events, the entries of all lines that begin in
        those bytes (at most 1 MB), one JSON object per line; the header `X-Log-Form` names the
        format.
        """
        run = services.listing.find(run_id)
        view = services.listing.log(run_id)
        if form is LogForm.READABLE:
            part = services.listing.entries(run, view, offset, limit or MAX_PART_BYTES)
            if part is not None:
                return _readable(view, part)
        piece = view.read(offset, limit)
        return _answer(view, LogForm.RAW, piece.content, piece.next_offset)

    _add_search(router, services)
    return router


def _add_search(router: APIRouter, services: Services) -> None:
    # searches are limited so that threads remain for all other calls
    limiter = CapacityLimiter(SEARCHES)

    @router.get("/runs/{run_id}/log/search")
    async def search(
        run_id: str,
        q: Annotated[str, Query(min_length=1, max_length=200, pattern=r"^[^\r\n]*$")],
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,18}$")] = None,
        form: LogForm = LogForm.RAW,
    ) -> LogHitsOut:
        """The lines of the whole log that contain some words; case is ignored.

        `offset` is a position in the original output, like `X-Log-Size`; `line` is the line's
        number in the download. `form=readable`: the matching entries.
        """
        after = int(cursor) if cursor else -1

        def look() -> LogHits:
            run, view = services.listing.find(run_id), services.listing.log(run_id)
            is_readable = form is LogForm.READABLE
            return services.listing.search(
                run, view, q, after=after, limit=limit, is_readable=is_readable
            )

        hits = await to_thread.run_sync(look, limiter=limiter)
        return LogHitsOut(
            total=hits.total,
            items=[LogHitOut.model_validate(hit) for hit in hits.items],
            next_cursor=None if hits.next_offset is None else str(hits.next_offset),
        )


def _readable(view: LogView, part: LogPart) -> Response:
    entries = (
        LogEntry(
            at=one.at,
            time=one.time,
            kind=one.entry.kind,
            name=one.entry.name,
            text=one.entry.text,
        )
        for one in part.entries
    )
    content = "".join(f"{entry.model_dump_json()}\n" for entry in entries).encode()
    answer = _answer(view, LogForm.READABLE, content, part.next_offset)
    answer.headers["X-Log-Begin"] = str(part.begin)
    return answer


def _answer(view: LogView, form: LogForm, content: bytes, next_offset: int) -> Response:
    written_at = view.written_at
    modified = {"Last-Modified": format_datetime(written_at, usegmt=True)} if written_at else {}
    return Response(
        content,
        media_type=NDJSON if form is LogForm.READABLE else "text/plain; charset=utf-8",
        headers={
            "X-Log-Form": form,
            "X-Log-Size": str(view.size),
            "X-Log-Next": str(next_offset),
            "X-Log-Truncated": str(view.is_cut).lower(),
            **modified,
            **QUARANTINE,
        },
    )
