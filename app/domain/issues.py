"""What an issue's text says about its order: which open issues keep it out."""

from __future__ import annotations

import re
from collections.abc import Collection

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
