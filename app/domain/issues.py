"""What keeps an issue from being started: its state, its branch, and what its text says."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from app.domain.words import READY_LABEL

_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(?P<title>.*?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_REFERENCE = re.compile(r"(?<![\w/#&-])#(\d{1,9})\b")


def blockers_of(body: str) -> list[int]:
    """The numbers under a `Blocked by` heading, up to the next heading, in order, once each."""
    numbers: dict[int, None] = {}
    inside = fenced = False
    for line in body.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        heading = None if fenced else _HEADING.match(line)
        if heading:
            inside = heading["title"].strip().rstrip(":").casefold() == "blocked by"
        elif inside:
            numbers.update(dict.fromkeys(int(found) for found in _REFERENCE.findall(line)))
    return list(numbers)


def blocked_by(body: str, open_issues: Collection[int]) -> int | None:
    """The lowest open issue that blocks this text's issue, or None."""
    return min((number for number in blockers_of(body) if number in open_issues), default=None)


def branch_of_issue(pattern: str, number: int) -> str:
    """The branch that claims an issue: the pattern with `<N>` replaced."""
    return pattern.replace("<N>", str(number))


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
