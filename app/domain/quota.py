"""Run quotas: whose limit holds for a person, its name on screens, and the banner on new runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.text.durations import minutes_words


class QuotaLevel(StrEnum):
    """The level of a quota banner: few runs left, or none."""

    CLOSE = "close"
    EXHAUSTED = "exhausted"


class Counted(StrEnum):
    """The units that a quota counts: accepted runs, or batch items."""

    RUNS = "runs"
    BATCHES = "batches"


class LimitOf(StrEnum):
    """The level that a limit is set for; the first that is set holds."""

    PERSON = "person"
    ROLE = "role"
    SERVER = "server"


@dataclass(frozen=True)
class QuotaLimit:
    """The places that a person has in a window, and the level that sets them; 0 means none."""

    places: int
    of: LimitOf = LimitOf.SERVER


@dataclass(frozen=True)
class SetLimits:
    """The limits that an admin set for a person and for their role; None where none is set."""

    own: int | None = None
    of_role: int | None = None

    def over(self, default: int) -> QuotaLimit:
        """Return the limit that holds: the person's, else the role's, else the server's."""
        if self.own is not None:
            return QuotaLimit(self.own, LimitOf.PERSON)
        if self.of_role is not None:
            return QuotaLimit(self.of_role, LimitOf.ROLE)
        return QuotaLimit(default)


# the highest limit that an admin can set
MOST_PLACES = 1_000_000
LIMIT_PROBLEM = (
    f"A limit is a whole number from 0 (none may be started) to {MOST_PLACES:,}; leave it empty "
    "for the limit of the role or the server."
)
_SERVER_SETTINGS = {Counted.RUNS: "RUNYARD_RUN_QUOTA", Counted.BATCHES: "RUNYARD_BATCH_QUOTA"}
_SET_IN = {LimitOf.PERSON: "Settings → People", LimitOf.ROLE: "Settings → Organisation"}
_OWNERS = {
    LimitOf.PERSON: "Your limit",
    LimitOf.ROLE: "The limit of your role",
    LimitOf.SERVER: "Runyard's own limit",
}
_NOUNS = {Counted.RUNS: "run", Counted.BATCHES: "batch item"}
_SPANS = {60: "a minute", 3600: "an hour", 86400: "a day"}


def set_in(counted: Counted, of: LimitOf) -> str:
    """Return where a limit is set: a page, or a setting of the server."""
    return _SET_IN.get(of, _SERVER_SETTINGS[counted])


def limit_words(counted: Counted, limit: int, seconds: int) -> str:
    """Return a limit in words: `100 runs an hour`."""
    if limit == 0:
        return f"no {_NOUNS[counted]}s"
    return f"{_things(counted, limit)} {_SPANS.get(seconds, f'in {minutes_words(seconds)}')}"


def own_limit(counted: Counted, limit: int, seconds: int, of: LimitOf = LimitOf.SERVER) -> str:
    """Describe whose limit it is: `Your limit: 20 runs an hour`."""
    return f"{_OWNERS[of]}: {limit_words(counted, limit, seconds)}"


def told_limit(counted: Counted, limit: int, seconds: int, of: LimitOf) -> str:
    """Describe whose limit it is and where it is set, for refusals and the command line."""
    return f"{own_limit(counted, limit, seconds, of)} ({set_in(counted, of)})"


def no_places(counted: Counted, limit: int, of: LimitOf) -> str:
    """Return the sentence for somebody whose window never holds what they ask for."""
    owner = _OWNERS[of].lower() if of is not LimitOf.SERVER else "Runyard's own limit"
    if limit == 0:
        return f"You may not start any {_NOUNS[counted]}s: {owner} is 0."
    return f"You may start at most {_things(counted, limit)}: {owner} is {limit}."


def _things(counted: Counted, number: int) -> str:
    return f"{number} {_NOUNS[counted]}{'' if number == 1 else 's'}"


class LimitsMode(StrEnum):
    """Where runs and batches are counted first; the tables decide in every mode."""

    TABLE = "table"
    REDIS = "redis"
    DEGRADED = "degraded"


@dataclass(frozen=True)
class QuotaBanner:
    """A banner with its level, the remaining runs, and the time (UTC) the oldest run expires.

    With `is_closed` no run may be started at all.
    """

    level: QuotaLevel
    remaining: int
    reset_at: datetime | None
    is_closed: bool = False


def quota_banner(
    *,
    limit: int,
    remaining: int,
    reset_at: datetime | None = None,
    free_at: datetime | None = None,
) -> QuotaBanner | None:
    """Return the banner for a quota: red at 0, amber up to a tenth of `limit`, else None."""
    # after a lower limit, several runs have to leave the window first
    reset_at = free_at or reset_at
    if limit == 0:
        # whatever leaves the window, nothing may be started
        return QuotaBanner(QuotaLevel.EXHAUSTED, 0, None, is_closed=True)
    if remaining <= 0:
        return QuotaBanner(QuotaLevel.EXHAUSTED, 0, reset_at)
    if remaining * 10 <= limit:
        return QuotaBanner(QuotaLevel.CLOSE, remaining, reset_at)
    return None
