"""Sends notifications: at least once, from one of several servers, each receiver separately."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog

from app.domain.notifications import Kind, compose, wait_after
from app.failpoints import failpoint
from app.records.feed import NoticeWritten, Numbered
from app.records.people.notification_ledger import NoticeLedger
from app.records.runs.quarantine_ledger import Subject
from app.records.tables import Notification
from app.services.concurrency import BoundedQueue, SingleFlight
from app.services.context import Context
from app.services.notifications.compose import Digests, NoticeRules
from app.services.notifications.receivers import Receiver, Receivers
from app.services.ports import NotTaken, ReceiverGone
from app.services.system.build import SystemServices

log = structlog.get_logger()
CLAIM = timedelta(seconds=60)  # longer than any send takes
KEPT = timedelta(days=30)
STRANGERS_KEPT = timedelta(days=1)  # a receiver may be left out by mistake
HELD_FOR = timedelta(days=1)
FAULT = "The message could not be built; see the log."
NO_MORE = "This receiver is no longer in RUNYARD_NOTIFY_URLS."


AT_ONCE = 8  # workers that may wait for receivers


class NotificationSender:
    """Sends notifications on worker threads; a request during a round causes one more after it."""

    def __init__(
        self,
        context: Context,
        system: SystemServices,
        ledger: NoticeLedger,
        digests: Digests,
        rules: NoticeRules,
        receivers: Receivers,
        *,
        chance: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._digests = digests
        self._rules = rules
        self._leases = system.leases
        self._queue = BoundedQueue(context.workers, AT_ONCE)
        self._clock = context.clock
        self._call_at = partial(context.call_at, name="notifications")
        self._chance = chance
        self._quarantine = system.quarantine
        self._secrets = context.adapters.secrets
        self._receivers = receivers
        self._rounds = SingleFlight(self._serve)
        self._has_tidied = False

    def on_change(self, told: Numbered) -> None:
        """Handle a change of the feed: send a notification as soon as it is committed."""
        if isinstance(told.change, NoticeWritten):
            self.request()

    def request(self) -> None:
        """Request a round of sending soon."""
        if self._receivers.may_exist or not self._has_tidied:
            self._queue.submit(self.begin_round, self._clock())

    def begin_round(self, now: datetime) -> int:
        """Write the digest that is due and start sending. Return the number of digests written."""
        if not self._leases.may_sweep(now):
            return 0
        self._tidy_once(now)
        if not self._receivers.all():
            return 0
        night = Subject("digest", now.date().isoformat(), None)
        written = self._quarantine.guard(night, lambda: self._digests.write_once(now)) or 0
        for mark in self._ledger.due_receivers(now).intersection(self._marks()):
            self._rounds.request(self._queue, mark)
        self._remember_next_moment(now)
        return written

    def send_once(self, receiver: Receiver, now: datetime) -> int:
        """Send a receiver its due messages until one is not taken. Return how many were taken."""
        taken = 0
        while self._leases.may_sweep(now):
            row = self._ledger.claim(
                receiver.mark, by=self._leases.server, now=now, until=now + CLAIM
            )
            if row is None:
                break
            if self._send_guarded(receiver, row):
                taken += 1
            now = self._clock()
        return taken

    def _send_guarded(self, receiver: Receiver, row: Notification) -> bool:
        subject = Subject("notice", row.id, row.id)
        taken = self._quarantine.guard(subject, lambda: self._send(receiver, row))
        if taken is None:
            # set it aside, so that it does not block later messages
            held = self._quarantine.is_held(subject.key)
            wait = HELD_FOR if held else wait_after(row.attempts, self._chance())
            self._ledger.set_aside(row, FAULT, self._clock() + wait)
        return bool(taken)

    def _send(self, receiver: Receiver, row: Notification) -> bool:
        address, kind = self._rules.address, Kind(row.kind)
        about = self._secrets.mask().mask_texts(row.about)
        message = compose(kind, about, address=address, id_=row.id)
        try:
            receiver.send(message)
        except ReceiverGone as problem:
            self._ledger.drop(receiver.mark, str(problem), self._clock())
            return False
        except NotTaken as problem:
            now = self._clock()
            asked = timedelta(seconds=problem.retry_after or 0)
            wait = max(wait_after(row.attempts, self._chance()), asked)
            until = self._rules.timetable.free_at(now + wait)
            self._ledger.put_off(row, str(problem), now=now, until=until)
            log.warning(
                "notification_not_taken",
                receiver=receiver.shown,
                notification=row.id,
                because=problem,
            )
            return False
        failpoint("after_notice_sent")
        return self._ledger.mark_sent(row, self._clock())

    def _serve(self, mark: str) -> None:
        receiver = self._receivers.find(mark)
        if receiver is None:
            return
        try:
            self.send_once(receiver, self._clock())
        except Exception:
            log.exception("notification_failed", receiver=receiver.shown)
        self._remember_next_moment(self._clock())

    def _marks(self) -> list[str]:
        return [one.mark for one in self._receivers.all()]

    def _remember_next_moment(self, now: datetime) -> None:
        digest = self._rules.timetable.next_end(now)
        moments = [digest, self._ledger.next_due(self._marks(), now)]
        ahead = [moment for moment in moments if moment is not None]
        if ahead:
            self._call_at(min(ahead), self.request)

    def _tidy_once(self, now: datetime) -> None:
        if self._has_tidied:
            return
        self._has_tidied = True
        before = now - STRANGERS_KEPT
        if dropped := self._ledger.drop_strangers(self._marks(), NO_MORE, before, now):
            log.info("notifications_dropped", count=dropped, because="their receivers were removed")
        self._ledger.forget(now - KEPT)
