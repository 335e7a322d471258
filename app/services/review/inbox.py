"""The inbox: everything over all projects that waits for a person."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from app.domain.review.inbox import Item, arranged
from app.records.feed import FeedBroke, FindingsChanged, ProjectChanged, StuckChanged
from app.records.people.reach import REACH, can_see, within
from app.records.review.held_texts import held_texts
from app.records.review.open_changes import open_changes, pending_approvals, work_on
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
        self._newest = lambda: context.feed.newest
        self._lock = threading.Lock()
        # the items, with the newest change and the time (monotonic) at which they were read
        self._known: tuple[tuple[Item, ...], int, float] = ((), -1, 0.0)

    def all(self) -> tuple[Item, ...]:
        """Return the items that the current request can see. Raises DatabaseSilent.

        They come by group, newest first in each.
        """
        if REACH.get() is None:
            return self._all()
        with within(None):  # everybody uses what is read here
            found = self._all()
        return tuple(one for one in found if can_see(one.project_id))

    def _all(self) -> tuple[Item, ...]:
        # a change during the read must not be hidden by the result
        newest, now = self._newest(), time.monotonic()
        with self._lock:
            known, change, read_at = self._known
        if change == newest and now - read_at < self._lifetime:
            return known
        found = arranged({one.id: one for one in self._collect()}.values())
        with self._lock:
            self._known = (found, newest, now)
        return found

    def _collect(self) -> Iterator[Item]:
        views = [one for one in self._overview.all() if one.project.archived_at is None]
        names = {view.project.id: view.project.name for view in views}
        for view in views:
            yield from items.of_project(view)
        for alert in self._alerts.all(views):
            if item := items.of_alert(alert):
                yield item
        with self._stores.looking() as session:
            holds = self._limits.views(self._clock(), session)
            stuck = self._quarantine.held(session=session)
            approvals = pending_approvals(session)
            kept = self._parked.all(session)
            changes = open_changes(session)
            works = work_on(self._stores, session, changes) if changes else {}
            # asked only where there are some
            is_any = any(one.project.forge_id and one.project.auto_enabled for one in views)
            held = held_texts(session) if is_any else []
        for hold in holds:
            if item := items.of_account(hold, views):
                yield item
        yield from map(items.of_held_text, held)
        yield from items.of_approvals(approvals, views)
        for row in stuck:
            yield items.of_stuck(row, names)
        for run in kept:
            if run.project_id in names:
                yield items.of_kept_work(run, names[run.project_id])
        for change in changes:
            yield items.of_change(change, works.get((change.project_id, change.number)))
