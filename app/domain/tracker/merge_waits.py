"""Words of merges that a forge makes by itself, and of those that it will not make after all."""

from __future__ import annotations

from app.domain.words import MergeWait

WAIT_WORDS = {
    MergeWait.CHECKS: "Merges by itself at the forge once its checks pass",
    MergeWait.QUEUE: "In the merge queue",
}
# in few words, for a pill or a row
WAIT_LABELS = {MergeWait.CHECKS: "Waits for checks", MergeWait.QUEUE: "In the merge queue"}

# why a forge was asked not to merge after all
CANCELED = "It was canceled."
CLOSED = "The change was closed."
MOVED = "The change got other commits."
WORKED_ON = "An agent works on the change."


def dropped_words(note: str) -> str:
    """Return the sentence of a change that its forge will not merge by itself after all."""
    return f"Not merged by itself: {note[:1].lower()}{note[1:]}"
