"""Which runs hold the comments on a change, and the marks of those that were sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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


@dataclass(frozen=True)
class SentRound:
    """A request for changes: the run that it began, and what it was sent with."""

    round: int
    run_id: str
    at: datetime
    review: Sequence[Mapping[str, Any]] | None


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
        for one in self.rounds(project_id, number):
            if held := ids_in(one.review) & drafts:
                self._ledger.mark_sent(held, one.run_id, one.round)
                drafts -= held

    def rounds(self, project_id: str, number: int) -> list[SentRound]:
        """Return the requests for changes, oldest first. Raises DatabaseSilent."""
        query = Select[*tuple[Any, ...]](col(Run.created_at), col(Run.id), col(Run.review)).where(
            col(Run.project_id) == project_id,
            col(Run.trigger) == Trigger.REVIEW,
            col(Run.pr_number) == number,
        )
        runs = sorted(self._stores.everywhere(query), key=lambda run: (run[0], run[1]))
        return [
            SentRound(round_, run_id, at, review)
            for round_, (at, run_id, review) in enumerate(runs, start=FIRST_ROUND)
        ]

    def settle_if_possible(self, project_id: str, number: int) -> None:
        """Do the same; while a store does not answer, drafts stay drafts until the next call."""
        try:
            self.settle(project_id, number)
        except DatabaseSilent as problem:
            log.info("comments_not_marked", project_id=project_id, because=str(problem))
