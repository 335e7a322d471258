"""What many runs came to, as digests sum it up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from app.domain.notices import Outcome, outcome_of
from app.records.ended_runs import EndedAlike


@dataclass(frozen=True)
class Outcomes:
    """How many runs came to what, and what all cost in US dollars where any told it."""

    counts: Counter[Outcome]
    cost_usd: float | None


def outcomes_of(ended: Iterable[EndedAlike]) -> Outcomes:
    """Sum runs up that have ended."""
    counts: Counter[Outcome] = Counter()
    costs: list[float] = []
    for one in ended:
        counts[outcome_of(one.status, one.cause)] += one.count
        costs += [] if one.cost_usd is None else [one.cost_usd]
    return Outcomes(counts, round(sum(costs), 6) if costs else None)
