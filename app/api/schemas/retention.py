"""What is kept of runs that are over."""

from __future__ import annotations

from typing import Literal

from app.api.schemas.parts import Answer, Moment


class LeavingOut(Answer):
    """A log or a copy that goes; `because` is age or size, `goes_at` from when on it does."""

    run_id: str
    ended_at: Moment
    bytes: int
    because: Literal["age", "size"]
    goes_at: Moment


class CopiesOut(Answer):
    """Working copies of runs that are over, as the last round saw them.

    `bytes` are of those that have been measured. `staying` are due, too, and hold work that is
    nowhere else. `leaving` names the first of those that go, once shown for an hour;
    `looked_at` is null before the first round.
    """

    kept: int
    bytes: int
    unmeasured: int
    staying: int
    staying_bytes: int
    leaving_copies: int
    leaving_bytes: int
    next_at: Moment | None
    looked_at: Moment | None
    leaving: list[LeavingOut]


class RetentionOut(Answer):
    """Which logs are kept on disk and what goes next, once it was shown for an hour.

    `leaving` names the first of them. `keep_days` and `keep_gb` are 0 where nothing goes by them;
    `next_at` is when the oldest log that stays for now comes of age.
    """

    keep_days: int
    keep_gb: float
    kept_runs: int
    kept_bytes: int
    leaving_runs: int
    leaving_bytes: int
    next_at: Moment | None
    leaving: list[LeavingOut]
    copies: CopiesOut
