"""Durations and form input as text, both ways; assets/clock.js formats durations alike."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from pydantic import ValidationError

from app.api.client.client import ApiProblem
from app.api.schemas.sentences import sentence_of
from app.domain.json.objects import is_object
from app.domain.json.values import JsonValue

_CLOCK = re.compile(r"[0-9]{1,6}(:[0-5][0-9]){0,2}")


def took(seconds: float) -> str:
    """Format a duration in seconds: `06:41`, or `2:00:00` from one hour on."""
    whole = max(0, int(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes:02}:{whole % 60:02}"


def seconds_from(words: str) -> int:
    """Parse `2:00:00`, `06:41`, or `90` (minutes) to seconds. Raises ValueError with a sentence."""
    if _CLOCK.fullmatch(words.strip()) is None:
        raise ValueError("Write it as 2:00:00, or in whole minutes.")
    parts = [int(part) for part in words.split(":")]
    if len(parts) == 1:
        return parts[0] * 60
    return sum(part * 60**place for place, part in enumerate(reversed(parts)))


def ago(seconds: float) -> str:
    """Format an age in seconds, in one unit: `now`, `6 min ago`, `3 h ago`."""
    whole = max(0, int(seconds))
    if whole < 10:
        return "now"
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if whole >= size:
            return f"{whole // size} {name} ago"
    return f"{whole} s ago"


def span(seconds: float) -> str:
    """Format a configured duration in the largest unit that divides it: `1 hour`, `90 min`."""
    whole = max(0, int(seconds))
    for size, one, many in ((3600, "hour", "hours"), (60, "min", "min")):
        if whole and whole % size == 0:
            return f"{whole // size} {one if whole == size else many}"
    return f"{whole} s"


def blamed_by(problem: ApiProblem) -> dict[str, str]:
    """Return the fields that a refusal names, with its messages; empty if it names none."""
    if problem.code == "name_taken":
        return {"name": problem.detail}
    named: dict[str, str] = {}
    for error in filter(is_object, problem.members.get("errors") or ()):
        message = str(error.get("message", problem.detail))
        named.setdefault(_field_of(str(error.get("field", ""))), message)
    return named


def refused_by(error: ValidationError) -> dict[str, str]:
    """Return the fields that an API schema refuses, with the API's own messages."""
    named: dict[str, str] = {}
    for one in error.errors(include_url=False, include_input=False):
        path = ".".join(str(part) for part in one["loc"])
        named.setdefault(_field_of(path), sentence_of(one))
    return named


def told_of(error: ValidationError) -> str:
    """Return all errors of an API schema in one line."""
    return " ".join(f"{name}: {sentence}" for name, sentence in refused_by(error).items())


def _field_of(path: str) -> str:
    # errors at `agent_command.0` show at the command's field; each limit has its own field
    return path.removeprefix("limits.").partition(".")[0]


def argv_from(words: str) -> list[str]:
    """Parse arguments, one per line or a JSON list. Raises ValueError with a sentence."""
    if not words.lstrip().startswith("["):
        return [line.strip() for line in words.splitlines() if line.strip()]
    try:
        given: JsonValue = json.loads(words)
    except ValueError:
        given = None
    listed = given if isinstance(given, list) else [None]
    argv = [one for one in listed if isinstance(one, str)]
    if len(argv) < len(listed):
        raise ValueError('Write one argument per line, or a JSON list such as ["make", "test"].')
    return argv


def argv_words(argv: Sequence[str] | None) -> str:
    """Format arguments one per line, or as a JSON list if lines would not parse back the same."""
    given = list(argv or [])
    lines = "\n".join(given)
    try:
        is_plain = argv_from(lines) == given
    except ValueError:
        is_plain = False
    return lines if is_plain else json.dumps(given, ensure_ascii=False)
