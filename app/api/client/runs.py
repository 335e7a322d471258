"""Client calls for a run's log in readable form."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from app.api import schemas
from app.api.client.auto import Caller

READABLE = {"form": "readable"}


@dataclass(frozen=True)
class EntriesPiece:
    """The entries of all lines that begin between `begin` and `next_offset`, and the log's size.

    Offsets and sizes in bytes. `written_at` is when the log last grew, None if it is empty or the
    time is unknown.
    """

    entries: list[schemas.LogEntry]
    begin: int
    next_offset: int
    size: int
    written_at: datetime | None = None


class LogCalls:
    """Calls for logs."""

    async def has_log_entries(self: Caller, run_id: str) -> bool:
        """Return True if the run's agent writes events that can be shown as entries."""
        answer = await self.send("GET", f"/runs/{run_id}/log", params={"limit": 1} | READABLE)
        return answer.headers["X-Log-Form"] == READABLE["form"]

    async def search_log(
        self: Caller, run_id: str, words: str, *, readable: bool, cursor: str | None, limit: int
    ) -> schemas.LogHitsOut:
        """Return the lines of a run's log, or its entries, that contain `words`."""
        params = {"q": words, "limit": limit} | (READABLE if readable else {})
        params |= {"cursor": cursor} if cursor else {}
        answer = await self.send("GET", f"/runs/{run_id}/log/search", params=params)
        return schemas.LogHitsOut.model_validate_json(answer.content)

    async def log_entries(self: Caller, run_id: str, *, offset: int, limit: int) -> EntriesPiece:
        """Return the entries of all lines that begin in a byte range of a log."""
        params = {"offset": offset, "limit": limit} | READABLE
        answer = await self.send("GET", f"/runs/{run_id}/log", params=params)
        date = answer.headers.get("Last-Modified")
        return EntriesPiece(
            [schemas.LogEntry.model_validate_json(line) for line in answer.content.splitlines()],
            int(answer.headers["X-Log-Begin"]),
            int(answer.headers["X-Log-Next"]),
            int(answer.headers["X-Log-Size"]),
            parsedate_to_datetime(date) if date else None,
        )
