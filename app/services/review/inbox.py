"""The inbox: everything over all projects that waits for a person."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from app.domain.review.inbox import Item, arranged
from app.records.feed import FeedBroke, FindingsChanged, Numbered, ProjectChanged, StuckChanged
from app.records.review.open_changes import open_changes, work_on
from app.records.runs.parked_ledger import ParkedLedger
from app.services.context import Context
from app.services.limits.usage_limits import UsageLimits
from app.services.projects.alerts import Alerts
from app.services.projects.overview import Overview
from app.services.review import items
from app.services.system.quarantine import Quarantine

# changes after which an item may have come, gone or changed
INBOX_CHANGES = (ProjectChanged, StuckChanged, FindingsChanged, FeedBroke)


class Inbox:
    """Collects the items of the inbox, and keeps them until something changes.

    They are used for `lifetime` seconds if no change is received.
    """

    def __init__(
        self,
        context: Context,
        overview: Overview,
        limits: UsageLimits,
        alerts: Alerts,
        quarantine: Quarantine,
        *,
        lifetime: float,
    ) -> None:
        self._overview = overview
        self._limits = limits
        self._alerts = alerts
        self._quarantine = quarantine
        self._parked = ParkedLedger(context.ledgers.runs)
        self._stores = context.stores
        self._clock = context.clock
        self._lifetime = lifetime
        self._lock = threading.Lock()
        self._changes = 0
        # the items, with the count of changes and the time (monotonic) at which they were read
        self._known: tuple[tuple[Item, ...], int, float] = ((), -1, 0.0)
        context.feed.subscribe(self._on_change)

    def all(self) -> tuple[Item, ...]:
        """Return all items by group, newest first in each. Raises DatabaseSilent."""
        now = time.monotonic()
        with self._lock:
            (known, read_at_change, read_at), changes = self._known, self._changes
        if read_at_change == changes and now - read_at < self._lifetime:
            return known
        # a change during the read must not be hidden by the result
        found = arranged({one.id: one for one in self._collect()}.values())
        with self._lock:
            self._known = (found, changes, now)
        return found

    def _on_change(self, one: Numbered) -> None:
        if isinstance(one.change, INBOX_CHANGES):
            with self._lock:
                self._changes += 1

    def _collect(self) -> Iterator[Item]:
        views = [one for one in self._overview.all() if one.project.archived_at is None]
        for view in views:
            yield from items.of_project(view)
        for hold in self._limits.views(self._clock()):
            if item := items.of_account(hold, views):
                yield item
        for alert in self._alerts.all():
            if item := items.of_alert(alert):
                yield item
        names = {view.project.id: view.project.name for view in views}
        for row in self._quarantine.held():
            yield items.of_stuck(row, names)
        for run in self._parked.all():
            if run.project_id in names:
                yield items.of_kept_work(run, names[run.project_id])
        yield from self._of_changes()

    def _of_changes(self) -> Iterator[Item]:
        with self._stores.looking() as session:
            changes = open_changes(session)
            works = work_on(self._stores, session, changes)
        for change in changes:
            yield items.of_change(change, works.get((change.project_id, change.number)))
