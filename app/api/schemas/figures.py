"""Models of the figures of a project's runs."""

# stands alone: the models of projects fill a file

from __future__ import annotations

from datetime import date

from pydantic import Field

from app.api.schemas.parts import Answer, Dollars


class FiguresOut(Answer):
    """Sums over runs that ended; null if no run reported the figure."""

    ended: int = Field(description="How many runs ended, however they did.")
    succeeded: int
    died: int
    timed_out: int
    limited: int
    stopped: int
    not_started: int
    expired: int
    success_rate: float | None = Field(
        description="Successes among runs that succeeded, died or timed out, 0 to 1."
    )
    began: int = Field(description="How many of them had begun to work.")
    mean_seconds: float | None = Field(description="How long those worked on average.")
    told_tokens: int = Field(description="How many reported their tokens.")
    input_tokens: int | None
    output_tokens: int | None
    told_cost: int = Field(description="How many reported their cost.")
    cost_usd: Dollars | None = Field(description="In US dollars.")


class DayFigures(FiguresOut):
    """The runs that ended on one UTC day."""

    day: date


class ProjectFigures(Answer):
    """A project's days, oldest first, each day once, and their totals."""

    items: list[DayFigures]
    totals: FiguresOut
