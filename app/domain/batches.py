"""Batches and bulk actions: statuses, labels, and fair order among several batches."""

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
    """The status of a batch: `pending` until all items are in, `processing` until all ended."""

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
    """The actions that can be applied to many runs at once."""

    STOP = "stop"
    RETRY = "retry"


class BulkStatus(StrEnum):
    """The status of a bulk action."""

    PROCESSING = "processing"
    COMPLETED = "completed"
    ABORTED = "aborted"


class BulkState(StrEnum):
    """The result of a bulk action for one run."""

    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"
    LEFT = "left"


@dataclass(frozen=True)
class Tally:
    """The runs of a batch by result so far; each run counts in exactly one field."""

    waiting: int
    live: int
    delivered: int
    no_change: int
    held: int
    failed: int
    stopped: int


def tally(counts: Mapping[str, int], *, no_change: int) -> Tally:
    """Group runs, counted by status, by their result; `no_change` counts those without a change."""

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
    """Return the display label of a batch's status; `counts` are its runs by status."""
    if status is not BatchStatus.PARTLY_FAILED or counts.get(Status.SUCCEEDED):
        return BATCH_LABELS[status]
    if set(counts) == {Status.STOPPED}:
        return "All stopped"
    return "None succeeded" if counts.keys() & {Status.STOPPED, Status.LIMITED} else "All failed"


@dataclass(frozen=True)
class Line(Generic[Item]):
    """The waiting items of one batch, in order, with its live runs and its last start."""

    batch_id: str
    live: int
    last_taken_at: datetime | None
    created_at: datetime
    items: Sequence[Item]


def in_turn(lines: Sequence[Line[Item]]) -> Iterator[Item]:
    """Yield items in the order in which they may start: round robin over the batches.

    The batch with the fewest live runs is next; among equals, the one that waited longest since its
    last start.
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
    # a batch that just got a turn in this round has not waited at all
    return (line.live + given, given > 0, waits_since, line.batch_id)
