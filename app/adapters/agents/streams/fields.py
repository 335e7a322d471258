"""Reading fields of agents' output: any value may be missing, of the wrong type, or hostile."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from app.domain.agents.final_output import Progressed
from app.domain.agents.reports import (
    MAX_COUNT,
    FileEdited,
    ReportEvent,
    Said,
    SessionNamed,
    ToolUsed,
)

MAX_MESSAGE_CHARS = 8_000
MAX_NAME_CHARS = 100
MAX_PATH_CHARS = 4_096
MAX_COST_USD = 1_000_000.0
_MAX_OPEN_TOOLS = 64
_SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", re.ASCII)
# tools that change a file, by the names of all agents
_EDITORS = frozenset(
    {
        *("Edit", "MultiEdit", "Write", "NotebookEdit"),
        *("edit", "write", "patch", "write_file", "replace", "edit_file", "create_file"),
    }
)
_PATHS = ("file_path", "filePath", "notebook_path", "absolute_path", "path")


def read_object(line: str) -> dict[str, Any] | None:
    """Return the JSON object in a line, None for anything else."""
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def part_of(value: Any, *names: str) -> dict[str, Any]:
    """Return the object at a path of names, empty if there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def parts_of(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a list, empty if the value is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


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


def said(value: Any) -> Iterator[ReportEvent]:
    """Yield a message, if there is one."""
    if text := text_of(value):
        yield Said(text)


def named(value: Any) -> Iterator[ReportEvent]:
    """Yield a session, if its name is safe in a command line."""
    if isinstance(value, str) and _SESSION.fullmatch(value):
        yield SessionNamed(value)


def called(name: Any, given: Any) -> Iterator[ReportEvent]:
    """Yield a tool call, and the file that it edits."""
    tool = text_of(name, MAX_NAME_CHARS)
    if not tool:
        return
    yield ToolUsed(tool)
    if tool in _EDITORS:
        paths = (text_of(part_of(given).get(key), MAX_PATH_CHARS) for key in _PATHS)
        if path := next(filter(None, paths), ""):
            yield FileEdited(path)


class OpenTools:
    """The running tools, by the ids of their calls."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}

    def begin(self, call: Any, name: Any) -> None:
        """Record that a tool begins; ignore a call without an id."""
        if key := text_of(call, MAX_NAME_CHARS):
            self._open[key] = text_of(name, MAX_NAME_CHARS)
            if len(self._open) > _MAX_OPEN_TOOLS:
                del self._open[next(iter(self._open))]

    def end(self, call: Any) -> None:
        """Record that a tool has ended."""
        self._open.pop(text_of(call, MAX_NAME_CHARS), None)

    def progress(self) -> Progressed:
        """Return a sign of progress that names the running tool that began last."""
        return Progressed(next(reversed(self._open.values()), ""))
