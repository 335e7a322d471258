"""Reading fields of agents' output: any value may be missing, of the wrong type, or hostile."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

from app.domain.agents.reports import MAX_COUNT
from app.domain.json.objects import is_object
from app.domain.json.values import JsonValue

MAX_MESSAGE_CHARS = 8_000
MAX_NAME_CHARS = 100
MAX_PATH_CHARS = 4_096
MAX_COST_USD = 1_000_000.0
MAX_EVIDENCE_CHARS = 500
MAX_SHORT_CHARS = 200
# how much of an output's end is searched for its last line
_END_CHARS = 20_000


def read_object(line: str) -> dict[str, Any] | None:
    """Return the JSON object in a line, None for anything else."""
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if is_object(found) else None


def part_of(value: Any, *names: str) -> dict[str, Any]:
    """Return the object at a path of names, empty if there is none."""
    for name in names:
        value = value.get(name) if is_object(value) else None
    return value if is_object(value) else {}


def parts_of(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a list, empty if the value is no list."""
    listed: JsonValue = value
    return [one for one in listed if is_object(one)] if isinstance(listed, list) else []


def count_of(value: Any) -> int | None:
    """Return a count that fits a database column, None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value < math.inf:
        return None
    return min(int(value), MAX_COUNT)


def sum_of(usage: dict[str, Any], *names: str) -> int | None:
    """Return the sum of the counts with these names, None if all are missing."""
    counts = [count for name in names if (count := count_of(usage.get(name))) is not None]
    return sum(counts) if counts else None


def cost_of(value: Any) -> float | None:
    """Return a plausible cost in US dollars, None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= MAX_COST_USD else None


def text_of(value: Any, limit: int = MAX_MESSAGE_CHARS) -> str:
    """Return a text that every database accepts, empty if the value is no text."""
    if not isinstance(value, str):
        return ""
    kept = value[:limit].encode("utf-8", "replace").decode("utf-8")
    return kept.replace("\0", "").strip()


def moment_of(value: object) -> datetime | None:
    """Return a number of seconds since 1970 as a UTC time, None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def short(value: Any, limit: int = MAX_SHORT_CHARS) -> str:
    """Return the first line of a text that is not blank, cut to `limit`; empty for no text."""
    text = text_of(value, 4_000)
    line = next((one.strip() for one in text.split("\n") if one.strip()), "")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def last_line(value: Any) -> str:
    """Return the last line of a text that is not blank, shortened; empty for no text."""
    text = value[-_END_CHARS:] if isinstance(value, str) else ""
    lines = [line for line in text_of(text, _END_CHARS).split("\n") if line.strip()]
    return short(lines[-1]) if lines else ""
