"""The content of the pane beside the inbox: the selected item, its run, checks and files."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TypeVar

from app.api.client.client import ApiClient, ApiProblem, NoAnswer
from app.api.schemas import ChangeFile, RunCheck, RunOut
from app.api.schemas.inbox import InboxItem
from app.domain.text.ansi import strip

Answer = TypeVar("Answer")
LAST_LINES, LAST_BYTES = 12, 8192


@dataclass(frozen=True)
class Preview:
    """An item with what could be read about it; None stands for what could not."""

    item: InboxItem
    run: RunOut | None = None
    summary: str = ""
    checks: list[RunCheck] = field(default_factory=list[RunCheck])
    files: list[ChangeFile] | None = None
    lines: list[str] = field(default_factory=list[str])


async def read_preview(api: ApiClient, item: InboxItem) -> Preview:
    """Read what a preview of an item shows; what cannot be read is left out."""
    if item.change is not None and item.project_id is not None:
        files = _or_none(api.change_files(item.project_id, item.change))
        found, (run, summary, checks) = await asyncio.gather(files, _work(api, item.run_id))
        return Preview(item, run, summary, checks, found)
    if item.run_id is None:
        return Preview(item)
    (run, summary, checks), lines = await asyncio.gather(
        _work(api, item.run_id), _or_none(_last_lines(api, item.run_id))
    )
    return Preview(item, run, summary, checks, None, lines or [])


async def _work(api: ApiClient, run_id: str | None) -> tuple[RunOut | None, str, list[RunCheck]]:
    if run_id is None:
        return None, "", []
    run, report, checks = await asyncio.gather(
        _or_none(api.run(run_id)), _or_none(api.report(run_id)), _or_none(api.checks(run_id))
    )
    last = max((one.round for one in checks or ()), default=0)
    summary = report.final_message if report and report.final_message else ""
    return run, summary, [one for one in checks or () if one.round == last]


async def _last_lines(api: ApiClient, run_id: str) -> list[str]:
    if await api.has_log_entries(run_id):
        entries = (await api.log_entries(run_id, offset=-LAST_BYTES, limit=LAST_BYTES)).entries
        written = "\n".join(one.text for one in entries)
    else:
        piece = await api.log(run_id, offset=-LAST_BYTES, limit=LAST_BYTES)
        written = piece.content.decode(errors="replace")
        if piece.size > LAST_BYTES:
            written = written.partition("\n")[2]
    lines = [line.rstrip() for line in strip(written).splitlines()]
    return [line for line in lines if line][-LAST_LINES:]


async def _or_none(asking: Awaitable[Answer]) -> Answer | None:
    try:
        return await asking
    except (ApiProblem, NoAnswer):
        return None
