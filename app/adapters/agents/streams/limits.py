"""The sentences by which an agent says that its account has no usage left."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from app.adapters.agents.streams.fields import text_of
from app.domain.reports import LimitReached, ReportEvent

MAX_EVIDENCE_CHARS = 500
_LOOKED_AT_CHARS = 4_000


class LimitMessages:
    """An agent's patterns, case ignored; a group named `epoch` is the moment of the reset."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [re.compile(pattern, re.IGNORECASE | re.ASCII) for pattern in patterns]

    def found_in(self, value: object) -> Iterator[ReportEvent]:
        """The limit that a text tells of, if it does."""
        for line in text_of(value, _LOOKED_AT_CHARS).splitlines():
            for pattern in self._patterns:
                if found := pattern.search(line):
                    epoch = found.groupdict().get("epoch")
                    moment = moment_of(int(epoch)) if epoch else None
                    yield LimitReached(line.strip()[:MAX_EVIDENCE_CHARS], moment)
                    return


def moment_of(value: object) -> datetime | None:
    """A moment told in seconds since 1970."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        return None
