"""A run's live events: server-sent events, resumed after a lost connection."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from app.api.client import calls
from app.cli.client.connection import Refused, Server, Unreachable

LOST_SECONDS = 30.0
PAUSE_SECONDS = 0.5
RELEASE_SECONDS = 15.0
_EVENTS = {"Accept": "text/event-stream"}
_LINE_AT_MOST = 1024 * 1024


@dataclass(frozen=True)
class FeedEvent:
    """One event; `connected`, `kept_alive` and `checked` are made here: time to poll again."""

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    id: str = ""


def follow_run(server: Server, run_id: str) -> Iterator[FeedEvent]:
    """Yield a run's events until it has ended.

    Reconnects for LOST_SECONDS after a lost connection; without a stream, polls the run instead.
    Raises Unreachable, Refused.
    """
    last_id, lost_at = "", None
    while True:
        try:
            for event in _read_patiently(server, run_id, last_id):
                last_id, lost_at = event.id or last_id, None
                yield event
            if server.ask(calls.run(run_id))["phase"] == "done":
                return
            lost_at = None
        except (Unreachable, Refused) as problem:
            if isinstance(problem, Refused) and problem.status < 500:
                raise
            lost_at = lost_at or time.monotonic()
            if time.monotonic() - lost_at > LOST_SECONDS:
                raise
        yield FeedEvent("checked")
        time.sleep(PAUSE_SECONDS)


def await_release(server: Server, run_id: str) -> None:
    """Wait until an ended run is released, about RELEASE_SECONDS at most."""
    until = time.monotonic() + RELEASE_SECONDS
    # a stream that falls silent would outlast that time
    waiting = replace(server, patience=RELEASE_SECONDS)
    with suppress(Unreachable, Refused), waiting.stream(calls.all_events(), _EVENTS) as answer:
        # after the stream's first event, nothing is missed
        for event in parse_events(answer.iter_bytes()):
            is_its_own = event.name == "kept_alive" or event.data.get("id") == run_id
            if is_its_own and server.ask(calls.run(run_id)).get("released_at"):
                return
            if time.monotonic() > until:
                return


@contextmanager
def outlasting_losses() -> Generator[None]:
    """Leave the block quietly if the server is away: the caller tries again later."""
    try:
        yield
    except Unreachable:
        return
    except Refused as refusal:
        if refusal.status < 500:
            raise


def _read_patiently(server: Server, run_id: str, last_id: str) -> Iterator[FeedEvent]:
    headers = _EVENTS | ({"Last-Event-ID": last_id} if last_id else {})
    try:
        with server.stream(calls.run_events(run_id), headers) as answer:
            yield FeedEvent("connected")
            yield from parse_events(answer.iter_bytes())
    except (Unreachable, Refused):
        return  # the caller's next request shows whether the server is there


def parse_events(pieces: Iterator[bytes]) -> Iterator[FeedEvent]:
    """Parse server-sent events from a byte stream; data that is not a JSON object becomes {}."""
    fields: dict[str, str] = {}
    for line in _lines(pieces):
        if not line:
            if "data" in fields or "event" in fields:
                yield _event(fields)
            fields = {}
            continue
        if line.startswith(":"):
            yield FeedEvent("kept_alive")
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data" and "data" in fields:
            value = f"{fields['data']}\n{value}"
        if name in {"event", "data", "id"}:
            fields[name] = value


def _lines(pieces: Iterator[bytes]) -> Iterator[str]:
    # Only \n ends a line: text may contain U+2028 and the like, where splitlines would cut.
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line.removesuffix(b"\r").decode("utf-8", "replace") for line in lines)
        rest = rest[:_LINE_AT_MOST]


def _event(fields: dict[str, str]) -> FeedEvent:
    try:
        data = json.loads(fields.get("data", ""))
    except ValueError:
        data = {}
    return FeedEvent(
        fields.get("event", "message"), data if isinstance(data, dict) else {}, fields.get("id", "")
    )
