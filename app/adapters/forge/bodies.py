"""Bodies of a forge's answers, parsed only if they say what they are, and storable."""

from __future__ import annotations

import email.utils
import json
from collections.abc import Mapping
from time import time
from typing import Any

import httpx


def plain_headers(headers: httpx.Headers) -> dict[str, str]:
    """Return headers for a body that is already decoded."""
    left_out = ("content-encoding", "content-length", "transfer-encoding")
    return {name: value for name, value in headers.items() if name not in left_out}


def json_of(response: httpx.Response) -> tuple[Any, bool]:
    """Return the parsed body, and whether it was JSON; what does not say so is not parsed."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return None, False
    try:
        said = response.content.decode("utf-8", "replace")
        told = json.loads(said)
        return _storable(told) if "\\u" in said else told, True
    except (ValueError, RecursionError):
        return None, False


def _storable(told: Any) -> Any:
    """Return an answer without what no database and no file takes: NUL, and lone surrogates."""
    match told:
        case str():
            return told.encode(errors="replace").decode().replace("\0", "\ufffd")
        case list():
            return [_storable(one) for one in told]  # pyright: ignore[reportUnknownVariableType]
        case dict():
            return {_storable(name): _storable(one) for name, one in told.items()}  # pyright: ignore[reportUnknownVariableType]
        case _:
            return told


def text_of(response: httpx.Response) -> tuple[Any, bool]:
    """Return the text of a good answer, and True if it is one: a page of a proxy is none."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not response.is_success or kind == "text/html":
        return json_of(response)
    return response.content.decode("utf-8", "replace").replace("\0", "\ufffd"), True


def seconds_of(headers: Mapping[str, str]) -> int | None:
    """Return what `Retry-After` asks for, in seconds; None if it asks for nothing readable."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return int(said[:9])
    try:
        return int(email.utils.parsedate_to_datetime(said).timestamp() - time())
    except (ValueError, TypeError, OverflowError):
        return None


def reset_of(headers: Mapping[str, str]) -> int | None:
    """Return when a limit ends by the forge's clock, in seconds since 1970; None if untold."""
    said = headers.get("x-ratelimit-reset", "")
    return int(said[:12]) if said.isascii() and said.isdigit() else None


def words_of(problem: Exception) -> str:
    """Return why there is no answer."""
    if isinstance(problem, httpx.ConnectTimeout | httpx.ConnectError):
        return "it could not be reached"
    if isinstance(problem, httpx.TimeoutException):
        return "it did not answer in time"
    return "it broke off its answer"
