"""The live feed: committed changes as API models, for every page and event stream."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import Context
from dataclasses import replace
from heapq import heappop, heappush
from itertools import islice

import structlog

from app.api.live_events import STREAMED, STREAMED_CHANGES, LiveEvent, build_events
from app.api.live_inbox import InboxNews
from app.services.container import Services
from app.services.people.visitor import Visitor
from app.services.rows import (
    Change,
    LogGrew,
    Numbered,
    ProjectChanged,
    RunChanged,
    RunEventAppended,
    RunReported,
)

log = structlog.get_logger()
# a project's card is rebuilt once in this time, however often the project changes
REBUILD_SECONDS = 0.1
# changes whose rows are read together, and after which newer changes have their turn
SLICE = 100

Listener = Callable[[LiveEvent], None]


class ProjectPace:
    """Holds back changes of projects, so that each project passes once per interval.

    A project's first change passes at once, its last one at the end of the interval. Times are
    seconds of the event loop.
    """

    def __init__(self, seconds: float = REBUILD_SECONDS) -> None:
        self._seconds = seconds
        # project id -> when its next change may pass, soonest first
        self._opens: dict[str, float] = {}
        self._held: dict[str, Numbered] = {}
        # the highest number of a streamed change whose event was sent
        self._sent = 0

    def pass_on(self, changes: Iterable[Numbered], now: float) -> list[Numbered]:
        """Return these changes and the ones held until now, without those held from now on."""
        self._forget_until(now)
        passed: list[Numbered] = []
        for one in changes:
            if isinstance(one.change, ProjectChanged):
                self._held[one.change.project_id] = one
            else:
                passed.append(one)
        for project_id in [one for one in self._held if one not in self._opens]:
            passed.append(self._held.pop(project_id))
            self._opens[project_id] = now + self._seconds
        return sorted(passed, key=lambda one: one.number)

    @property
    def due_at(self) -> float | None:
        """When the next held change may pass, None if none is held."""
        return min((self._opens[one] for one in self._held), default=None)

    def numbered(self, events: Sequence[LiveEvent], unsent: int | None = None) -> list[LiveEvent]:
        """Number the events to send so that no earlier change is still unsent with any of them.

        `unsent` is the lowest number of a streamed change that passed but is sent later. A reader
        who resumes after such a number misses nothing, and may get an event twice.
        """
        before = self._sent
        waiting = [one.number for one in self._held.values()]
        unsent = min(waiting if unsent is None else [*waiting, unsent], default=None)
        found: list[LiveEvent] = []
        for event in reversed(events):
            number = max(event.number, before)
            if unsent is not None:
                number = min(number, unsent - 1)
            found.append(replace(event, number=number))
            if event.kind in STREAMED:
                unsent = event.number if unsent is None else min(unsent, event.number)
        self._sent = max([before, *(one.number for one in events if one.kind in STREAMED)])
        return found[::-1]

    def resumable_from(self, unsent: int | None) -> int:
        """Return the highest number after which a reader can resume and miss nothing.

        `unsent` is the lowest number of a streamed change that passed but is not sent yet.
        """
        waiting = [one.number for one in self._held.values()]
        unsent = min(waiting if unsent is None else [*waiting, unsent], default=None)
        return self._sent if unsent is None else min(self._sent, unsent - 1)

    def _forget_until(self, now: float) -> None:
        while self._opens:
            project_id = next(iter(self._opens))
            if self._opens[project_id] > now:
                return
            del self._opens[project_id]


class Backlog:
    """Changes that are to be sent, each once with its last number, run by run.

    However many wait, the runs that changed last and those that wait longest have their turns.
    """

    def __init__(self) -> None:
        # run id, empty for changes of no run -> change -> number, the one that waits longest first;
        # the run that changed last is last
        self._runs: OrderedDict[str, OrderedDict[Change, int]] = OrderedDict()
        # the same runs, the one that waits longest first: a new change moves none of them
        self._since: OrderedDict[str, None] = OrderedDict()
        # a heap of what is streamed; also of changes that were taken or have a newer number
        self._numbers: list[tuple[int, Change]] = []

    def add(self, changes: Iterable[Numbered]) -> None:
        """Add changes, each in place of an equal one."""
        for one in changes:
            if isinstance(one.change, STREAMED_CHANGES):
                heappush(self._numbers, (one.number, one.change))
            run_id = _run_of(one.change)
            self._runs.setdefault(run_id, OrderedDict())[one.change] = one.number
            self._runs.move_to_end(run_id)
            self._since.setdefault(run_id)

    def take(self, most: int) -> list[Numbered]:
        """Remove and return the changes to send next, by number.

        Those of no run have the first turn. Each turn takes at most half of what is left, so that
        nothing fills slice after slice.
        """
        taken: list[Numbered] = []
        for run_id in self._turns():
            taken += self._take_of(run_id, (most - len(taken) + 1) // 2)
            if len(taken) == most:
                break
        return sorted(taken, key=lambda one: one.number)

    @property
    def oldest(self) -> int | None:
        """The lowest number of a change in it that event streams are to get, or None."""
        while self._numbers:
            number, change = self._numbers[0]
            of_run = self._runs.get(_run_of(change))
            if of_run is not None and of_run.get(change) == number:
                return number
            heappop(self._numbers)
        return None

    def _turns(self) -> Iterator[str]:
        while self._runs:
            if "" in self._runs:
                yield ""
            if newest := next(filter(None, reversed(self._runs)), None):
                yield newest
            if longest := next(filter(None, self._since), None):
                yield longest

    def _take_of(self, run_id: str, most: int) -> list[Numbered]:
        of_run = self._runs[run_id]
        taken = [Numbered(number, one) for one, number in islice(of_run.items(), most)]
        for one in taken:
            del of_run[one.change]
        if not of_run:
            del self._runs[run_id], self._since[run_id]
        return taken


def _run_of(change: Change) -> str:
    match change:
        case RunChanged() | RunEventAppended() | RunReported() | LogGrew():
            return change.run_id
        case _:
            return ""


class LiveStream:
    """Turns committed changes into events once for all subscribers, on the event loop."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[Numbered] = []
        self._backlog = Backlog()
        self._pace = ProjectPace()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._listeners: tuple[Listener, ...] = ()
        self._closers: tuple[Callable[[], None], ...] = ()
        self._inbox = InboxNews(services, self._pass_on, self._resumable_from)
        self._leave: Callable[[], None] = lambda: None

    def open(self) -> None:
        """Subscribe to the feed; call on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._leave = self._services.feed.subscribe(self._on_change)

    def close(self) -> None:
        """Unsubscribe from the feed and call every `on_close`; call on the event loop."""
        self._leave()
        self._loop = None
        self._inbox.close()
        if self._timer is not None:
            self._timer.cancel()
        for on_close in self._closers:
            on_close()

    def subscribe(self, on_event: Listener, visitor: Visitor | None = None) -> Callable[[], None]:
        """Call `on_event` with each event, on the event loop; return the unsubscribe function.

        With `visitor`, only events that this person may get.
        """

        def permitted(event: LiveEvent) -> None:
            if visitor is None or event.is_for(visitor):
                on_event(event)

        self._listeners = (*self._listeners, permitted)

        def leave() -> None:
            self._listeners = tuple(one for one in self._listeners if one is not permitted)

        return leave

    def warn(self, on_close: Callable[[], None]) -> Callable[[], None]:
        """Call `on_close` when the server shuts down; return the unsubscribe function."""
        self._closers = (*self._closers, on_close)

        def leave() -> None:
            self._closers = tuple(one for one in self._closers if one is not on_close)

        return leave

    def events_of(self, changes: list[Numbered]) -> list[LiveEvent]:
        """Return the events for these changes; each row is read once, in its current state."""
        latest: dict[Change, int] = {}
        for one in changes:
            latest.pop(one.change, None)
            latest[one.change] = one.number
        events: list[LiveEvent] = []
        different = [Numbered(number, change) for change, number in latest.items()]
        for begin in range(0, len(different), SLICE):
            events += build_events(different[begin : begin + SLICE], self._services)
        return events

    def _on_change(self, one: Numbered) -> None:
        # called in the thread that committed; one who subscribes later will fetch this change, but
        # may then be sent an older row of it that is being read now
        loop = self._loop
        is_wanted = self._listeners or not (self._task is None or self._task.done())
        if is_wanted and loop is not None and not loop.is_closed():
            # in a context of its own: not with the limits of the request that made the change
            loop.call_soon_threadsafe(self._collect, one, context=Context())

    def _collect(self, one: Numbered) -> None:
        self._waiting.append(one)
        self._inbox.on_change(one.change)
        self._wake()

    def _wake(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        while changes := self._take():
            if not self._listeners:
                continue
            try:
                events = await asyncio.to_thread(build_events, changes, self._services)
            except Exception:
                log.exception("changes_not_sent")
                continue
            for event in self._pace.numbered(events, self._backlog.oldest):
                self._pass_on(event)

    def _pass_on(self, event: LiveEvent) -> None:
        for listener in self._listeners:
            listener(event)

    def _resumable_from(self) -> int:
        return self._pace.resumable_from(self._backlog.oldest)

    def _take(self) -> list[Numbered]:
        """Return the changes to send next, and plan when those held back are sent."""
        loop = asyncio.get_running_loop()
        waiting, self._waiting = self._waiting, []
        self._backlog.add(self._pace.pass_on(waiting, loop.time()))
        if self._timer is not None:
            self._timer.cancel()
        due_at = self._pace.due_at
        self._timer = None if due_at is None else loop.call_at(due_at, self._wake)
        return self._backlog.take(SLICE)
