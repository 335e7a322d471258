"""When the loop starts a run by itself, and why not (engine.md §5)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain.issues import blocked_by
from app.domain.rules import is_paused
from app.domain.words import READY_LABEL


@dataclass(frozen=True)
class AutoFacts:
    """What is known of a project when it is asked; None stands for "could not be read".

    `claimable` holds issue numbers; the room is in runs.
    """

    state: str
    is_archived: bool
    auto_enabled: bool
    strikes: int
    has_open_auto_run: bool
    repository_room: int
    global_room: int
    agent_missing: str | None
    held_until: datetime | None
    claimable: Sequence[int] | None


@dataclass(frozen=True)
class Launch:
    """Start this issue."""

    issue: int


@dataclass(frozen=True)
class Hold:
    """Start nothing, and why."""

    because: str


def may_launch_auto(facts: AutoFacts) -> Launch | Hold:
    """The loop's one decision: the lowest claimable issue, or what stands in the way."""
    for stands_in_the_way, because in _holds(facts):
        if stands_in_the_way:
            return Hold(because)
    if facts.claimable is None:
        return Hold("the issues could not be read")
    return Launch(min(facts.claimable)) if facts.claimable else Hold("no claimable issue")


def _holds(facts: AutoFacts) -> list[tuple[bool, str]]:
    return [
        (facts.is_archived, "archived"),
        (facts.state == "cloning", "the repository is being cloned"),
        (facts.state == "broken", "the repository could not be cloned"),
        (not facts.auto_enabled, "automatic runs are off"),
        (is_paused(facts.strikes), f"paused after {facts.strikes} fails"),
        (facts.has_open_auto_run, "an automatic run is under way"),
        (facts.held_until is not None, "the agent's usage limit was reached"),
        (facts.agent_missing is not None, facts.agent_missing or ""),
        (facts.repository_room <= 0, "this repository is at maximum concurrency"),
        (facts.global_room <= 0, "all run slots of this server are taken"),
    ]


@dataclass(frozen=True)
class IssueFacts:
    """One issue with what is known about its branch and its runs."""

    number: int
    body: str
    labels: Collection[str]
    is_open: bool
    branch: str
    branch_exists: bool | None
    has_open_run: bool
    open_change: int | None


def issue_hold(facts: IssueFacts, open_issues: Collection[int]) -> str | None:
    """Why this issue is not being started, in one sentence; None where it is claimable."""
    if not facts.is_open:
        return "closed"
    if READY_LABEL not in facts.labels:
        return "not ready"
    if facts.has_open_run:
        return "a run is under way"
    if facts.open_change is not None:
        return f"delivered: change request #{facts.open_change} is open"
    if facts.branch_exists is None:
        return "its branch could not be read"
    if facts.branch_exists:
        return f"parked: {facts.branch}"
    others = [number for number in open_issues if number != facts.number]
    blocker = blocked_by(facts.body, others)
    return f"blocked by #{blocker}" if blocker is not None else None
