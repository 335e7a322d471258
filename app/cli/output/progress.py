"""Progress of a run that is waited for: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from app.api.client import calls
from app.cli.client.connection import Server
from app.cli.client.feed import await_release, follow_run, outlasting_losses
from app.cli.output.run_view import elapsed, print_event, tokens
from app.cli.output.terminal import Screen, clean, cut, status_piece
from app.domain.text.ansi import ERASE_LINE
from app.domain.text.durations import two_units

_REDRAW_SECONDS = 1.0


def wait_for_run(server: Server, run_id: str, screen: Screen) -> dict[str, Any]:
    """Follow a run to its end and release, showing its progress; return the ended run.

    Its branch and slot are then free for the next run. A server that is away briefly is waited for.
    Raises Unreachable, Refused.
    """
    stages = Stages(server, run_id)
    with LivingLine(screen) if screen.is_tty else PlainStages(screen) as shown:
        shown.show(*stages.news())
        for event in follow_run(server, run_id):
            with outlasting_losses():
                if event.name != "log":
                    shown.show(*stages.news())
        run, events = stages.news()
        if not run.get("released_at"):
            await_release(server, run_id)
            run, rest = stages.news()
            events += rest
        shown.show(run, events)
    return run


class Stages:
    """The news of a run: each event is returned once, even if the feed lost or repeated it."""

    def __init__(self, server: Server, run_id: str) -> None:
        self._server = server
        self._run_id = run_id
        self._told = 0

    def news(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the run as it is now, and the events since the last call."""
        run = self._server.ask(calls.run(self._run_id))
        events = self._server.ask(calls.timeline(self._run_id))["items"]
        new = [event for event in events if event["id"] > self._told]
        self._told = max((event["id"] for event in new), default=self._told)
        return run, new


class PlainStages:
    """Progress as a line for every event."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def __enter__(self) -> PlainStages:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, _run: dict[str, Any], events: list[dict[str, Any]]) -> None:
        """Print the new events."""
        for event in events:
            print_event(self._screen, event)


class LivingLine:
    """One line, redrawn each second: status, time used of its budget, tokens, last sentence."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._run: dict[str, Any] = {}
        self._last = ""
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> LivingLine:
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._write(ERASE_LINE)

    def show(self, run: dict[str, Any], events: list[dict[str, Any]]) -> None:
        """Store the run and its last event, and redraw."""
        with self._lock:
            self._run = run
            self._last = str(events[-1].get("sentence", "")) if events else self._last
        self._draw()

    def _tick(self) -> None:
        while not self._over.wait(_REDRAW_SECONDS):
            self._draw()

    def _draw(self) -> None:
        with self._lock:
            if not self._run:
                return
            label = status_piece(self._run)
            told = clean(f"  {self._told()}").replace("\t", " ")
            rest = cut(told, max(0, self._screen.width - len(label.text) - 1))
            self._write(f"{ERASE_LINE}{self._screen.render(label)}{rest}")

    def _told(self) -> str:
        run, parts = self._run, [elapsed(self._run, datetime.now(UTC))]
        if run.get("started_at") and run.get("budget_seconds"):
            parts[0] += f" of {two_units(run['budget_seconds'])}"
        parts += [tokens(run), str(run.get("hold") or self._last)]
        return " · ".join(part for part in parts if part)

    def _write(self, text: str) -> None:
        self._screen.stream.write(text)
        self._screen.stream.flush()
