"""The form's folded options: start time, expiry and tags."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any

from app.domain.formatting import iso
from app.domain.starts import moment_of, read_start

BAD_TTL = "Expires after: write a span as 30m, 2h or 1d."


def options_of(
    delay: str, ttl: str, tags: str, now: datetime, zone: tzinfo | None
) -> dict[str, Any]:
    """Return the given options as fields of an order; `zone` is the reader's time zone.

    Raises ValueError with a sentence for text that cannot be parsed.
    """
    given: dict[str, Any] = {}
    if delay.strip():
        start = read_start(delay)
        given["delay"] = iso(moment_of(start, now, zone)) if isinstance(start, str) else start
    if ttl.strip():
        given["ttl"] = _span(ttl)
    named = [tag for part in tags.split(",") if (tag := part.strip())]
    if named:
        given["tags"] = list(dict.fromkeys(named))
    return given


def _span(words: str) -> int:
    try:
        seconds = read_start(words)
    except ValueError as problem:
        raise ValueError(BAD_TTL) from problem
    if not isinstance(seconds, int) or seconds < 1:
        raise ValueError(BAD_TTL)
    return seconds
