"""Refusal of JSON with duplicate names: two parsers could read it as two different requests."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request

from app.errors import Invalid

TWICE = "This is given twice."
MOST_TOLD = 20


def read_json(text: bytes) -> tuple[Any, list[str]]:
    """Return the parsed JSON and the sorted names that occur twice within one of its objects.

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
    """Refuse a JSON body with duplicate names. Raises Invalid.

    Lines of NDJSON are checked one by one where they are parsed.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        return
    try:
        _, doubled = read_json(await request.body())
    except (ValueError, RecursionError):
        return  # malformed JSON is reported by the validation that follows
    if doubled:
        raise Invalid.fields({name[:100]: TWICE for name in doubled[:MOST_TOLD]})
