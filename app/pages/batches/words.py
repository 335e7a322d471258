"""Wording and bars for batches: state, progress, result."""

from __future__ import annotations

from app.api.schemas import BatchOut, BatchReport
from app.domain.batches import BatchStatus, tally
from app.domain.words import Status
from app.pages.components.chips import pill_html
from app.pages.components.markup import text

TONES = {
    BatchStatus.PENDING: "acc",
    BatchStatus.PROCESSING: "acc",
    BatchStatus.COMPLETED: "go",
    BatchStatus.PARTLY_FAILED: "wait",
    BatchStatus.ABORTED: "stop",
}
# final outcomes: attribute of the report, and the word on screen
OVER = (
    ("delivered", "delivered"),
    ("no_change", "no change"),
    ("held", "held"),
    ("failed", "failed"),
    ("stopped", "stopped"),
)
PARTS = (*OVER, ("live", "live"), ("waiting", "waiting"))


def state_html(batch: BatchOut) -> str:
    """Return the batch's state as a pill."""
    tone = TONES[batch.status]
    if batch.status is BatchStatus.PARTLY_FAILED and not batch.counts.get(Status.SUCCEEDED):
        tone = "stop"
    return pill_html(batch.label, tone, testid="batch-state")


def number_of(batch: BatchOut, *parts: tuple[str, str]) -> list[tuple[int, str]]:
    """Return the count and word of each part, leaving out zeros."""
    told = batch if isinstance(batch, BatchReport) else tally(batch.counts, no_change=0)
    return [(int(getattr(told, name)), word) for name, word in parts if getattr(told, name)]


def bar_html(batch: BatchOut) -> str:
    """Return a progress bar of finished items."""
    over = sum(number for number, _ in number_of(batch, *OVER))
    words = f"{over} of {batch.run_count} have ended"
    return (
        f'<progress class="budget tall" max="{batch.run_count}" value="{over}"'
        f' aria-label="{words}" title="{words}"></progress>'
    )


def words_of(batch: BatchOut) -> str:
    """Return the counts in words: `3 delivered · 1 failed · 6 waiting`."""
    return " · ".join(f"{number} {word}" for number, word in number_of(batch, *PARTS))


def counts_html(batch: BatchOut) -> str:
    """Return `words_of`, preceded by the number of items sent while some are missing."""
    is_short = batch.received < batch.run_count
    sent = f"{batch.received} of {batch.run_count} sent" if is_short else ""
    return text(" · ".join(part for part in (sent, words_of(batch)) if part))
