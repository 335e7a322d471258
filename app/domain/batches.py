"""Batches: their words, and whose turn it is when several wait (stores.md, Batches)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from app.domain.lifecycle import LIVE, WAITING
from app.domain.words import Status

MAX_ITEMS = 1000
UNSEALED = timedelta(minutes=30)
Item = TypeVar("Item")


class BatchStatus(StrEnum):
    """Where a batch stands: `pending` until every item is in, `processing` until all ended."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    PARTLY_FAILED = "partly_failed"
    ABORTED = "aborted"


BATCH_LABELS: dict[BatchStatus, str] = {
    BatchStatus.PENDING: "Being sent",
    BatchStatus.PROCESSING: "Processing",
    BatchStatus.COMPLETED: "Completed",
    BatchStatus.PARTLY_FAILED: "Partly failed",
    BatchStatus.ABORTED: "Aborted",
}


class BulkAction(StrEnum):
    """What can be done to many runs at once."""

    STOP = "stop"
    RETRY = "retry"


class BulkStatus(StrEnum):
    """Where such an order stands."""

    PROCESSING = "processing"
    COMPLETED = "completed"
    ABORTED = "aborted"


class BulkState(StrEnum):
    """What came of one of its runs."""

    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"
    LEFT = "left"


@dataclass(frozen=True)
class Tally:
    """What a batch came to so far; every run is counted in one of them."""

    waiting: int
    live: int
    delivered: int
    no_change: int
    held: int
    failed: int
    stopped: int


def tally(counts: Mapping[str, int], *, no_change: int) -> Tally:
    """Sort runs, counted by status, by what they came to; `no_change` of them delivered nothing."""

    def of(*statuses: Status) -> int:
        return sum(counts.get(status, 0) for status in statuses)

    failed = of(Status.DIED, Status.TIMED_OUT, Status.NOT_STARTED, Status.EXPIRED)
    return Tally(
        waiting=of(*WAITING),
        live=of(*LIVE),
        delivered=of(Status.SUCCEEDED),
        no_change=no_change,
        held=of(Status.LIMITED),
        failed=failed - no_change,
        stopped=of(Status.STOPPED),
    )


def label_of_batch(status: BatchStatus, counts: Mapping[str, int]) -> str:
    """The word people read for where a batch stands, its runs counted by status."""
    if status is not BatchStatus.PARTLY_FAILED or counts.get(Status.SUCCEEDED):
        return BATCH_LABELS[status]
    if set(counts) == {Status.STOPPED}:
        return "All stopped"
    return "None succeeded" if counts.keys() & {Status.STOPPED, Status.LIMITED} else "All failed"


@dataclass(frozen=True)
class Line(Generic[Item]):
    """The items of one batch that wait, in order, and what it has had of the slots so far."""

    batch_id: str
    live: int
    last_taken_at: datetime | None
    created_at: datetime
    items: Sequence[Item]


def in_turn(lines: Sequence[Line[Item]]) -> Iterator[Item]:
    """Items in the order in which they may start: round robin over the batches.

    Who has the fewest live runs comes first; of equals, who has waited longest since its last.
    """
    places = {line.batch_id: 0 for line in lines}
    while True:
        left = [line for line in lines if places[line.batch_id] < len(line.items)]
        if not left:
            return
        line = min(left, key=lambda one: _claim(one, places[one.batch_id]))
        yield line.items[places[line.batch_id]]
        places[line.batch_id] += 1


def _claim(line: Line[Item], given: int) -> tuple[int, bool, datetime, str]:
    waits_since = line.last_taken_at or line.created_at
    # who was given one in this very round waits since now
    return (line.live + given, given > 0, waits_since, line.batch_id)
