"""The live feed: committed changes as API models, for every page and event stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, singledispatch
from typing import Any

import structlog
from pydantic import BaseModel

from app.api.views import event_out, masked, project_out, report_out, run_out
from app.errors import NotFound
from app.services.container import Services
from app.services.rows import (
    BulkChanged,
    Change,
    FeedBroke,
    FindingsChanged,
    LogGrew,
    Numbered,
    ProjectChanged,
    QuotaChanged,
    RunChanged,
    RunEventAppended,
    RunReported,
    StoresChanged,
    StuckChanged,
)

log = structlog.get_logger()
# changes may have been missed: subscribers must fetch a snapshot
FEED_BROKE = "feed.broke"
# the kinds that `GET /events` sends; the feed remembers their changes
TOLD = frozenset({"run.changed", "project.changed", "quota.changed"})
# a project's card is rebuilt once in this time, however often the project changes
REBUILD_SECONDS = 0.1


@dataclass(frozen=True)
class LiveEvent:
    """One change: its kind, its model or members, and the number in the feed to resume after."""

    number: int
    kind: str
    data: Any
    run_id: str | None = None

    @cached_property
    def json(self) -> str:
        """The data as JSON, written once for all event streams."""
        return json_of(self.data)


def json_of(data: Any) -> str:
    """Return a model or its members as JSON."""
    return data.model_dump_json() if isinstance(data, BaseModel) else json.dumps(data)


Hearer = Callable[[LiveEvent], None]


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
        # the highest number of an event in `TOLD` that was sent
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

    def numbered(self, events: Sequence[LiveEvent]) -> list[LiveEvent]:
        """Number the events to send so that no earlier change is still unsent with any of them.

        A reader who resumes after such a number misses nothing, and may get an event twice.
        """
        before = self._sent
        unsent = min((one.number for one in self._held.values()), default=None)
        found: list[LiveEvent] = []
        for event in reversed(events):
            number = max(event.number, before)
            if unsent is not None:
                number = min(number, unsent - 1)
            found.append(replace(event, number=number))
            unsent = event.number if unsent is None else min(unsent, event.number)
        self._sent = max([before, *(one.number for one in events if one.kind in TOLD)])
        return found[::-1]

    def _forget_until(self, now: float) -> None:
        while self._opens:
            project_id = next(iter(self._opens))
            if self._opens[project_id] > now:
                return
            del self._opens[project_id]


class LiveStream:
    """Turns committed changes into events once for all subscribers, on the event loop."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[Numbered] = []
        self._pace = ProjectPace()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._hearers: tuple[Hearer, ...] = ()
        self._closers: tuple[Callable[[], None], ...] = ()
        self._leave: Callable[[], None] = lambda: None

    def open(self) -> None:
        """Subscribe to the feed; call on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._leave = self._services.feed.subscribe(self._on_change)

    def close(self) -> None:
        """Unsubscribe from the feed and call every `on_close`; call on the event loop."""
        self._leave()
        self._loop = None
        if self._timer is not None:
            self._timer.cancel()
        for on_close in self._closers:
            on_close()

    def subscribe(self, on_event: Hearer) -> Callable[[], None]:
        """Call `on_event` with each event, on the event loop; return the unsubscribe function."""
        self._hearers = (*self._hearers, on_event)

        def leave() -> None:
            self._hearers = tuple(one for one in self._hearers if one is not on_event)

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
        told: list[LiveEvent] = []
        for change, number in latest.items():
            try:
                event = _event_of(change, number, self._services)
            except Exception:
                # one failing event must not block the others
                log.exception("change_not_sent", change=change)
            else:
                told += [event] if event is not None else []
        return told

    def _on_change(self, told: Numbered) -> None:
        # called in the thread that committed; one who subscribes later will fetch this change
        loop = self._loop
        if self._hearers and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._collect, told)

    def _collect(self, told: Numbered) -> None:
        self._waiting.append(told)
        self._wake()

    def _wake(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        while changes := self._take():
            if not self._hearers:
                continue
            try:
                events = await asyncio.to_thread(self.events_of, changes)
            except Exception:
                log.exception("changes_not_sent")
                continue
            for event in self._pace.numbered(events):
                for hearer in self._hearers:
                    hearer(event)

    def _take(self) -> list[Numbered]:
        """Return the changes to send now, and plan when those held back are sent."""
        loop = asyncio.get_running_loop()
        waiting, self._waiting = self._waiting, []
        changes = self._pace.pass_on(waiting, loop.time())
        if self._timer is not None:
            self._timer.cancel()
        due_at = self._pace.due_at
        self._timer = None if due_at is None else loop.call_at(due_at, self._wake)
        return changes


@singledispatch
def _event_of(change: Change, number: int, services: Services) -> LiveEvent | None:
    """Return the event of a change, by its type; None for one that no page shows.

    Texts are masked here, because pages get them without passing the API's masking middleware.
    """
    return None


@_event_of.register
def run_changed(change: RunChanged, number: int, services: Services) -> LiveEvent | None:
    """Describe a run by its current row."""
    run = services.listing.find_or_none(change.run_id)
    if run is None:
        return None
    out = run_out(run, services.projects.name_of(change.project_id))
    return LiveEvent(number, "run.changed", masked(out, services.secrets.mask()), run.id)


@_event_of.register
def run_event_appended(
    change: RunEventAppended, number: int, services: Services
) -> LiveEvent | None:
    """Describe a run's new timeline event."""
    lines = [change.event] if change.event else []
    lines = lines or services.listing.timeline(change.run_id, after=change.event_id - 1)[:1]
    if not lines:
        return None
    event = masked(event_out(lines[0]), services.secrets.mask())
    data = {"run_id": change.run_id, "event": event}
    return LiveEvent(number, "run.event", data, change.run_id)


@_event_of.register
def run_reported(change: RunReported, number: int, services: Services) -> LiveEvent | None:
    """Describe what a run's agent has reported so far."""
    run = services.listing.find_or_none(change.run_id)
    if run is None:
        return None
    report = masked(report_out(services, run), services.secrets.mask())
    return LiveEvent(number, "run.report", {"run_id": run.id, "report": report}, run.id)


@_event_of.register
def log_grew(change: LogGrew, number: int, services: Services) -> LiveEvent:
    """Name the run whose log grew."""
    return LiveEvent(number, "run.log", {"run_id": change.run_id}, change.run_id)


@_event_of.register
def project_changed(change: ProjectChanged, number: int, services: Services) -> LiveEvent | None:
    """Describe a project by its current rows."""
    try:
        view = services.overview.of(change.project_id)
        out = project_out(view, services.secrets.mask())
    except NotFound:
        return None
    return LiveEvent(number, "project.changed", out)


@_event_of.register
def bulk_changed(change: BulkChanged, number: int, services: Services) -> LiveEvent:
    """Name the bulk action that changed."""
    return LiveEvent(number, "bulk.changed", {"bulk_id": change.bulk_id})


@_event_of.register
def quota_changed(change: QuotaChanged, number: int, services: Services) -> LiveEvent:
    """Name the person whose quota changed."""
    return LiveEvent(number, "quota.changed", {"person_id": change.person_id})


@_event_of.register
def stores_changed(change: StoresChanged, number: int, services: Services) -> LiveEvent:
    """Say why nothing can be written, or None once it can."""
    return LiveEvent(number, "stores.changed", {"trouble": change.trouble or None})


@_event_of.register
def findings_changed(change: FindingsChanged, number: int, services: Services) -> LiveEvent:
    """Announce that doctor's findings changed."""
    return LiveEvent(number, "doctor.changed", {})


@_event_of.register
def stuck_changed(change: StuckChanged, number: int, services: Services) -> LiveEvent:
    """Announce that the quarantine changed."""
    return LiveEvent(number, "quarantine.changed", {})


@_event_of.register
def feed_broke(change: FeedBroke, number: int, services: Services) -> LiveEvent:
    """Announce that changes may have been missed."""
    return LiveEvent(number, FEED_BROKE, {})
