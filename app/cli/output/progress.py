"""Waiting for a run: one living line on a terminal, plain stage lines elsewhere."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from app.cli.client.connection import Server, run_path
from app.cli.client.feed import await_release, follow_run, outlasting_losses
from app.cli.output.run_view import elapsed, say_event, spell, tokens
from app.cli.output.terminal import Screen, clean, cut, status_piece

_REDRAW_SECONDS = 1.0


def wait_for_run(server: Server, run_id: str, screen: Screen) -> dict[str, Any]:
    """Follow a run to its end and its release, showing how it goes; the ended run.

    What comes after it finds its branch and its slot free. A server that is away for a while is
    waited for. Raises Unreachable, Refused.
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
    """Asks the server what is new; events are told once, whatever the feed lost or repeated."""

    def __init__(self, server: Server, run_id: str) -> None:
        self._server = server
        self._run_id = run_id
        self._told = 0

    def news(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The run as it is, and the events since the last call."""
        run = self._server.get(run_path(self._run_id))
        events = self._server.get(run_path(self._run_id, "/timeline"))["items"]
        new = [event for event in events if event["id"] > self._told]
        self._told = max((event["id"] for event in new), default=self._told)
        return run, new


class PlainStages:
    """A line for every event."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def __enter__(self) -> PlainStages:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, _run: dict[str, Any], events: list[dict[str, Any]]) -> None:
        """Print what is new."""
        for event in events:
            say_event(self._screen, event)


class LivingLine:
    """One line, redrawn each second: status, time of its budget, last sentence, tokens."""

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
        self._write("\r\x1b[K")

    def show(self, run: dict[str, Any], events: list[dict[str, Any]]) -> None:
        """Take over what is new and draw it."""
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
            self._write(f"\r\x1b[K{self._screen.render(label)}{rest}")

    def _told(self) -> str:
        run, parts = self._run, [elapsed(self._run, datetime.now(UTC))]
        if run.get("started_at") and run.get("budget_seconds"):
            parts[0] += f" of {spell(run['budget_seconds'])}"
        parts += [tokens(run), str(run.get("hold") or self._last)]
        return " · ".join(part for part in parts if part)

    def _write(self, text: str) -> None:
        self._screen.stream.write(text)
        self._screen.stream.flush()
