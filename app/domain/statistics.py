"""What runs that ended add up to: sums only, so that figures of any days can be added."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta

from app.domain.lifecycle import DONE
from app.domain.words import Status

MICROS = 1_000_000  # of a US dollar: whole numbers add up the same in every order


@dataclass(frozen=True)
class Figures:
    """Counts by terminal status; milliseconds worked by the `began` runs that had begun.

    Tokens and millionths of a US dollar are those of the runs that told them, which are counted
    too: nothing told is not the same as zero.
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
        """Both together."""
        return Figures(*(a + b for a, b in zip(self.values, other.values, strict=True)))

    def __sub__(self, other: Figures) -> Figures:
        """What has to be added to `other` to make this."""
        return Figures(*(a - b for a, b in zip(self.values, other.values, strict=True)))

    @property
    def values(self) -> tuple[int, ...]:
        """Every sum, in the order of NAMES."""
        return tuple(getattr(self, name) for name in NAMES)

    @property
    def ended(self) -> int:
        """How many runs ended, however they did."""
        return sum(getattr(self, name) for name in OUTCOMES)

    @property
    def judged(self) -> int:
        """The runs whose end says something of the work: it succeeded, died or timed out."""
        return self.succeeded + self.died + self.timed_out

    @property
    def success_rate(self) -> float | None:
        """Successes among the judged, 0 to 1; None without any."""
        return self.succeeded / self.judged if self.judged else None

    @property
    def mean_seconds(self) -> float | None:
        """How long a run worked on average, in seconds; None where none had begun."""
        return self.worked_ms / 1000 / self.began if self.began else None

    @property
    def cost_usd(self) -> float | None:
        """What the runs cost in US dollars; None where no agent told it."""
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
    """What one run adds: nothing while it is not over; `worked` is None where it never began."""
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
