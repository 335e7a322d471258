"""The log of a run over HTTP: its bytes, or what they say to a person."""

from __future__ import annotations

from email.utils import format_datetime
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse

from app.api.description import SCHEMAS
from app.api.schemas import LogEntry
from app.api.views import QUARANTINE
from app.services.plane import Services
from app.services.ports import LogView
from app.services.readable_log import MAX_PART_BYTES, LogPart

# more bytes than any log has, and still a position that every file system takes
FAR = 2**62
NDJSON = "application/x-ndjson"


class LogForm(StrEnum):
    """How a log is told."""

    RAW = "raw"
    READABLE = "readable"


def routes(services: Services) -> APIRouter:
    """`/runs/{id}/log`."""
    router = APIRouter()
    entries = {"content": {NDJSON: {"schema": {"$ref": f"{SCHEMAS}LogEntry"}}}}

    @router.get("/runs/{run_id}/log", response_class=PlainTextResponse, responses={200: entries})
    def log(
        run_id: str,
        offset: Annotated[int, Query(ge=-FAR, le=FAR)] = 0,
        limit: Annotated[int | None, Query(ge=1, le=FAR)] = None,
        form: LogForm = LogForm.RAW,
    ) -> Response:
        """Bytes the agent wrote, from a position; a negative one counts from the end.

        `form=readable`: of an agent that writes events, the entries of all lines that begin in
        those bytes (at most 1 MB of them), one JSON object a line; `X-Log-Form` says what it is.
        """
        run = services.listing.find(run_id)
        view = services.engine.log(run_id)
        if form is LogForm.READABLE:
            part = services.listing.entries(run, view, offset, limit or MAX_PART_BYTES)
            if part is not None:
                return _readable(view, part)
        piece = view.read(offset, limit)
        return _answer(view, LogForm.RAW, piece.content, piece.next_offset)

    return router


def _readable(view: LogView, part: LogPart) -> Response:
    entries = (
        LogEntry(at=one.at, kind=one.entry.kind, name=one.entry.name, text=one.entry.text)
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
