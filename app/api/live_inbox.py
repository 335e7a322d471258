"""Announcements of the inbox: one for many changes, and none if it is as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from app.api.live_events import LiveEvent, inbox_event, items_event
from app.domain.review.inbox import Item
from app.services.container import Services
from app.services.review.inbox import INBOX_CHANGES
from app.services.rows import DEFAULT_ORGANISATION as DEFAULT
from app.services.rows import Change

log = structlog.get_logger()
# how soon after a change the inbox is read, and at most how often
SOON_SECONDS, INTERVAL_SECONDS = 0.1, 0.5


class InboxNews:
    """Looks at the inbox after changes, and passes an event to `send` if it differs.

    `number` returns the number in the feed after which a reader of that event can resume.
    """

    def __init__(
        self,
        services: Services,
        send: Callable[[LiveEvent], None],
        number: Callable[[], int],
    ) -> None:
        self._services = services
        self._send = send
        self._number = number
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._opens_at = 0.0
        self._is_wanted = False
        self._announced: tuple[Item, ...] | None = None

    def on_change(self, change: Change) -> None:
        """Look at the inbox soon if this change may be one of it; call on the event loop."""
        if isinstance(change, INBOX_CHANGES):
            self._is_wanted = True
            self._plan()

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _plan(self) -> None:
        if self._timer is None and (self._task is None or self._task.done()):
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(loop.time() + SOON_SECONDS, self._opens_at), self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._task = asyncio.get_running_loop().create_task(self._look())

    def _by_place(self, items: tuple[Item, ...]) -> list[tuple[str | None, list[Item]]]:
        """Return the items of each organisation; with a single one, all of them for everybody."""
        directory = self._services.directory
        if directory.is_alone or directory.is_single:
            return [(None, list(items))]
        found: dict[str, list[Item]] = {one: [] for one in directory.organisations()}
        for item in items:
            of_all = item.project_id is None
            place = DEFAULT if of_all else directory.of_project(item.project_id or "")
            if place in found:
                found[place].append(item)
        return list(found.items())

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._is_wanted = False
        number = self._number()
        try:
            items = await asyncio.to_thread(self._services.inbox.all)
            if items != self._announced:
                self._announced = items
                for place, its in await asyncio.to_thread(self._by_place, items):
                    self._send(inbox_event(its, number, place))
                    self._send(items_event(its, number, place))
        except Exception:
            # the next change makes up for it
            log.exception("inbox_not_announced")
        self._opens_at = loop.time() + INTERVAL_SECONDS
        if self._is_wanted:
            self._task = None
            self._plan()
