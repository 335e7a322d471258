"""The CI of a commit: one state of all that reported, and the names of what failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

# of failed ones that are named
MOST_NAMED = 50
# of the sentence that says why it cannot be read
MOST_SAID = 300


class CiState(StrEnum):
    """The state of a commit at its forge; of several, the worst counts."""

    UNKNOWN = "unknown"
    PASSED = "passed"
    PENDING = "pending"
    FAILED = "failed"


_WORST = (CiState.FAILED, CiState.PENDING, CiState.PASSED)
# as forges call them; any other word says nothing
_STATES = {
    "error": CiState.FAILED,
    "failure": CiState.FAILED,
    "pending": CiState.PENDING,
    "success": CiState.PASSED,
    "warning": CiState.PASSED,
    "skipped": CiState.PASSED,
}


@dataclass(frozen=True)
class Reported:
    """The state that one job reported of a commit, with its page, if it has one."""

    name: str
    state: str
    url: str | None = None


@dataclass(frozen=True)
class Ci:
    """The state of a commit, the page that says more, and the names of the jobs that failed."""

    state: CiState = CiState.UNKNOWN
    url: str | None = None
    failed: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {"state": str(self.state), "url": self.url, "failed": list(self.failed)}


def ci_of(reports: Iterable[Reported]) -> Ci:
    """Return the state of a commit; one of which nothing was reported is unknown."""
    known = [(one, _STATES[one.state]) for one in reports if one.state in _STATES]
    worst = next((one for one in _WORST if any(state is one for _, state in known)), None)
    if worst is None:
        return Ci()
    named = [one for one, state in known if state is worst]
    failed = tuple(one.name for one in named[:MOST_NAMED]) if worst is CiState.FAILED else ()
    return Ci(worst, next((one.url for one in named if one.url), None), failed)


def seen_at(ci: Ci, head_sha: str, *, unread: str = "") -> dict[str, Any]:
    """Return it as a change's row holds it, with the commit that it is about.

    `unread` is why it cannot be read.
    """
    because = {"unread": unread[:MOST_SAID]} if unread else {}
    return ci.as_data() | {"sha": head_sha} | because


def was_asked(stored: Mapping[str, Any] | None, head_sha: str) -> bool:
    """Return True if a row holds what CI said of this commit, be it nothing."""
    return bool(stored) and stored.get("sha") == head_sha


def why_unread(stored: Mapping[str, Any] | None, head_sha: str) -> str:
    """Return why the CI of this commit cannot be read, "" where it could be or was not asked."""
    if not stored or stored.get("sha") != head_sha:
        return ""
    return str(stored.get("unread", ""))


def read_ci(stored: Mapping[str, Any] | None, head_sha: str) -> Ci:
    """Return what a row holds about this commit; about another one it says nothing."""
    if not stored or stored.get("sha") != head_sha:
        return Ci()
    return Ci(CiState(stored["state"]), stored["url"], tuple(stored["failed"]))
