"""Removal of comments that nobody sent, some time after their change was merged or closed."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from functools import partial

import structlog

from app.records.database.database import DatabaseSilent
from app.records.review.comment_ledger import CommentLedger
from app.records.review.sent_comments import SentComments
from app.services.context import Context
from app.services.retention.policy import SOON, Terms
from app.services.system.ownership import Leases

log = structlog.get_logger()
AT_ONCE = 50  # changes per round


class UnsentComments:
    """Removes the drafts of changes that ended as long ago as logs are kept.

    Until then their authors can still read and copy them: somebody else may have merged meanwhile.
    """

    def __init__(self, context: Context, leases: Leases, terms: Terms) -> None:
        self._ledger = CommentLedger(context.stores)
        self._sent = SentComments(context.stores)
        self._keep_days = terms.keep_days
        self._workers = context.workers
        self._clock = context.clock
        self._may_act = leases.may_sweep
        self._again_at = partial(context.call_at, name="unsent comments")
        self._looking = threading.Lock()

    def request(self) -> None:
        """Request a round on a worker soon."""
        self._workers.submit(lambda: self.clear_once(self._clock()))

    def clear_once(self, now: datetime) -> int:
        """Remove the drafts of some changes that ended long ago. Return how many drafts."""
        if not self._keep_days:
            return 0
        with self._looking:
            if not self._may_act(now):
                return 0
            until = now - timedelta(days=self._keep_days)
            places = self._ledger.places_left(until, limit=AT_ONCE)
            try:
                gone = sum(self._remove(*place) for place in places)
            except DatabaseSilent as problem:
                # until all runs can be read, any of them may have been sent
                log.info("unsent_comments_left", because=str(problem))
                return 0
        if len(places) == AT_ONCE:
            self._again_at(now + SOON, self.request)
        return gone

    def _remove(self, project_id: str, number: int) -> int:
        # a server that ended as it sent some left them unmarked
        self._sent.settle(project_id, number)
        gone = self._ledger.remove_left(project_id, number)
        if gone:
            log.info("unsent_comments_removed", project_id=project_id, change=number, count=gone)
        return gone
