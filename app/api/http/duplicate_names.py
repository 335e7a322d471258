"""JSON that gives a name twice: two readers could take it for two orders, so it is none."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request

from app.errors import Invalid

TWICE = "This is given twice."
MOST_TOLD = 20


def read_json(text: bytes) -> tuple[Any, list[str]]:
    """A JSON text, and the names that an object in it has more than once, sorted.

    Raises ValueError, RecursionError.
    """
    doubled: set[str] = set()

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            for name, _ in pairs:
                (doubled if name in seen else seen).add(name)
        return found

    told = json.loads(text.decode(), object_pairs_hook=note)
    return told, sorted(name.encode(errors="replace").decode() for name in doubled)


async def refuse_doubled_names(request: Request) -> None:
    """Refuse a JSON body that gives a name twice. Raises Invalid.

    What comes line by line is looked at line by line.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        return
    try:
        _, doubled = read_json(await request.body())
    except (ValueError, RecursionError):
        return  # what is no JSON is told as such
    if doubled:
        raise Invalid.fields({name[:100]: TWICE for name in doubled[:MOST_TOLD]})
