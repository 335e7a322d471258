"""The place that a card gets in the queue when a person drops it on the board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """A card of the column Ready."""

    project_id: str
    number: int
    priority: str


@dataclass(frozen=True)
class Drop:
    """The change of a dropped card: its priority, and the issue it goes before or after."""

    priority: str
    before: int | None = None
    after: int | None = None

    @property
    def change(self) -> dict[str, str | int]:
        """The body of the PATCH."""
        found: dict[str, str | int] = {"priority": self.priority}
        if self.before is not None:
            found["before"] = self.before
        elif self.after is not None:
            found["after"] = self.after
        return found


def drop_of(moved: Card, others: Sequence[Card], place: int) -> Drop | None:
    """Return what dropping a card at a place among the other cards changes; None for nothing.

    It takes the priority of the card below, at the end that of the card above. Its neighbor in
    the queue is the nearest card of its own project with that priority, below first.
    """
    if not others:
        return None
    at = max(0, min(place, len(others)))
    priority = others[at].priority if at < len(others) else others[-1].priority

    def is_mate(card: Card) -> bool:
        return card.project_id == moved.project_id and card.priority == priority

    below = next((card for card in others[at:] if is_mate(card)), None)
    if below is not None:
        return Drop(priority, before=below.number)
    above = next((card for card in reversed(others[:at]) if is_mate(card)), None)
    if above is not None:
        return Drop(priority, after=above.number)
    return Drop(priority) if priority != moved.priority else None
