"""Which runs hold the comments on a change, and the marks of those that were sent."""

from __future__ import annotations

from typing import Any

import structlog
from sqlmodel import col
from sqlmodel.sql.expression import Select

from app.domain.review.sent import ids_in
from app.domain.words import Trigger
from app.records.database.database import DatabaseSilent
from app.records.review.comment_ledger import CommentLedger
from app.records.stores.routing import Stores
from app.records.tables import Run

log = structlog.get_logger()
# the round of a change's first review run: its first commits are round 1
FIRST_ROUND = 2


class SentComments:
    """Marks comments as sent once a run holds them, whatever ended in between."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._ledger = CommentLedger(stores)

    def settle(self, project_id: str, number: int) -> None:
        """Mark the drafts on a change that one of its runs holds. Raises DatabaseSilent."""
        drafts = self._ledger.drafts_on(project_id, number)
        if not drafts:
            return
        query = Select[*tuple[Any, ...]](col(Run.created_at), col(Run.id), col(Run.review)).where(
            col(Run.project_id) == project_id,
            col(Run.trigger) == Trigger.REVIEW,
            col(Run.pr_number) == number,
        )
        runs = sorted(self._stores.everywhere(query), key=lambda run: (run[0], run[1]))
        for round_, (_, run_id, review) in enumerate(runs, start=FIRST_ROUND):
            if held := ids_in(review) & drafts:
                self._ledger.mark_sent(held, run_id, round_)
                drafts -= held

    def settle_if_possible(self, project_id: str, number: int) -> None:
        """Do the same; while a store does not answer, drafts stay drafts until the next call."""
        try:
            self.settle(project_id, number)
        except DatabaseSilent as problem:
            log.info("comments_not_marked", project_id=project_id, because=str(problem))
