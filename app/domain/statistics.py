"""Totals of ended runs; only sums, so that the totals of any days can be added."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta

from app.domain.lifecycle import DONE
from app.domain.words import Status

MICROS = 1_000_000  # per US dollar: integers add up the same in any order


@dataclass(frozen=True)
class Figures:
    """Counts by final status, and the milliseconds worked by the `began` runs that had started.

    Tokens and cost (in millionths of a US dollar) cover only the runs that reported them;
    `told_tokens` and `told_cost` count those runs, because not reported is not zero.
    """

    succeeded: int = 0
    died: int = 0
    timed_out: int = 0
    limited: int = 0
    stopped: int = 0
    not_started: int = 0
    expired: int = 0
    began: int = 0
    worked_ms: int = 0
    told_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    told_cost: int = 0
    cost_micros: int = 0

    def __add__(self, other: Figures) -> Figures:
        """Return the sum of both."""
        return Figures(*(a + b for a, b in zip(self.values, other.values, strict=True)))

    def __sub__(self, other: Figures) -> Figures:
        """Return the difference: what must be added to `other` to get this."""
        return Figures(*(a - b for a, b in zip(self.values, other.values, strict=True)))

    @property
    def values(self) -> tuple[int, ...]:
        """All totals, in the order of NAMES."""
        return tuple(getattr(self, name) for name in NAMES)

    @property
    def ended(self) -> int:
        """The number of ended runs, with any status."""
        return sum(getattr(self, name) for name in OUTCOMES)

    @property
    def judged(self) -> int:
        """The number of runs whose end reflects on the work: succeeded, died or timed out."""
        return self.succeeded + self.died + self.timed_out

    @property
    def success_rate(self) -> float | None:
        """The share of successes among judged runs, 0 to 1; None if there are none."""
        return self.succeeded / self.judged if self.judged else None

    @property
    def mean_seconds(self) -> float | None:
        """The average working time of a run, in seconds; None if no run started."""
        return self.worked_ms / 1000 / self.began if self.began else None

    @property
    def cost_usd(self) -> float | None:
        """The cost of the runs in US dollars; None if no agent reported any."""
        return self.cost_micros / MICROS if self.told_cost else None


NAMES = tuple(one.name for one in fields(Figures))
OUTCOMES = tuple(str(status) for status in Status if status in DONE)
NOTHING = Figures()


def figures_of(
    status: Status,
    worked: timedelta | None,
    input_tokens: int | None,
    output_tokens: int | None,
    cost_usd: float | None,
) -> Figures:
    """Return what one run adds, nothing before it has ended; `worked` None: never started."""
    if status not in DONE:
        return NOTHING
    has_tokens = input_tokens is not None or output_tokens is not None
    return Figures(
        **{str(status): 1},
        began=int(worked is not None),
        worked_ms=max(worked or timedelta(), timedelta()) // timedelta(milliseconds=1),
        told_tokens=int(has_tokens),
        input_tokens=input_tokens or 0,
        output_tokens=output_tokens or 0,
        told_cost=int(cost_usd is not None),
        cost_micros=round((cost_usd or 0.0) * MICROS),
    )
