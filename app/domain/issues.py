"""What keeps an issue from being started: its state, its branch, and what its text says."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app.domain.words import READY_LABEL

BLOCKING_WORDS = ("blocked by", "depends on")
_LINES = re.compile(r"\r\n|\r|\n")
_HEADING = re.compile(r"^ {0,3}#{1,6}(?P<rest>[ \t].*)?$")
_UNDERLINE = re.compile(r"^ {0,3}(?:=+|-+)[ \t]*$")
_FENCE = re.compile(r"^ {0,3}(?P<fence>`{3,}|~{3,})(?P<rest>.*)$")
_REFERENCE = re.compile(r"(?<![\w/#&-])#(\d{1,9})\b")
# `Blocked by #3`, a list item or not, plain or emphasised; what follows is read number by number
_SAYS = re.compile(
    r"^\s*(?P<item>(?:[-+*]|\d{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?)?"
    r"[*_]{0,3}(?:blocked by|depends on)[*_]{0,3}:?[*_]{0,3}[ \t]*(?:issues?[ \t]+)?(?=#)",
    re.IGNORECASE,
)
_NEXT_NUMBER = re.compile(r"(?:[\s,;&]*(?:(?:and|or)\s+)?)#(\d{1,9})\b", re.IGNORECASE)
_ITEM = re.compile(r"^\s*(?:[-+*]|\d{1,9}[.)])[ \t]")
_CODE = (" " * 4, "\t")
# what an underline cannot make a heading of: nothing, a list, a quote, an indented line
_NO_TITLE = re.compile(r"^(?:\s*$| {4}|\t| {0,3}(?:[-+*>]|\d{1,9}[.)])(?:\s|$))")


def blockers_of(body: str) -> list[int]:
    """The numbers that a text says its issue waits for, in order, once each.

    They stand under a heading `Blocked by` or `Depends on`, up to the next heading, in such a
    heading itself, or on a line that begins so (`Blocked by #3, #4`), code and quotes left out.
    """
    folded = body.casefold()
    if not any(words in folded for words in BLOCKING_WORDS):
        return []
    numbers: dict[int, None] = {}
    inside, fence, above, in_list = False, "", "", False
    for line in _LINES.split(body):
        fence, was_fenced = _fence_after(line, fence), bool(fence)
        is_code = was_fenced or bool(fence)
        title = None if is_code else _title_of(line, above)
        if title is not None:
            named = _numbers_of_heading(title)
            inside = named is not None
            numbers.update(dict.fromkeys(named or ()))
        elif inside:
            numbers.update(dict.fromkeys(int(found) for found in _REFERENCE.findall(line)))
        elif not is_code and (in_list or not line.startswith(_CODE)):
            numbers.update(dict.fromkeys(_numbers_said(line)))
        above = "" if is_code or title is not None else line
        if line.strip():
            # what is indented below a list belongs to it, elsewhere it is code
            in_list = bool(_ITEM.match(line)) or (in_list and line.startswith(_CODE))
    return list(numbers)


def _numbers_of_heading(title: str) -> list[int] | None:
    """The numbers in a heading that opens a section of blockers, None for any other heading."""
    words = title.strip().rstrip(":").rstrip().casefold()
    if words in BLOCKING_WORDS:
        return []
    return _numbers_said(title) or None


def _numbers_said(line: str) -> list[int]:
    """The numbers after `Blocked by` where a line begins with that, up to other words."""
    says = _SAYS.match(line)
    numbers: list[int] = []
    place = says.end() if says else len(line)
    while found := _NEXT_NUMBER.match(line, place):
        numbers.append(int(found[1]))
        place = found.end()
    return numbers


def _title_of(line: str, above: str) -> str | None:
    """The words of a heading that ends on this line, None where none does."""
    heading = _HEADING.match(line)
    if heading:
        # by hand: an expression for the closing marks takes minutes for a hostile line
        words = (heading["rest"] or "").strip(" \t")
        unmarked = words.rstrip("#")
        return unmarked if unmarked.endswith((" ", "\t")) or not unmarked else words
    return above if _UNDERLINE.match(line) and not _NO_TITLE.match(above) else None


def _fence_after(line: str, fence: str) -> str:
    """The code fence that is open after this line, empty where none is."""
    found = _FENCE.match(line)
    if not found:
        return fence
    if not fence:
        # what follows backticks on their own line cannot hold another
        return "" if found["fence"][0] == "`" and "`" in found["rest"] else found["fence"]
    closes = found["fence"].startswith(fence) and not found["rest"].strip()
    return "" if closes else fence


def blocked_by(body: str, open_issues: Collection[int], *, itself: int = 0) -> int | None:
    """The lowest open issue that blocks this text's issue, or None; none blocks itself."""
    numbers = (n for n in blockers_of(body) if n != itself and n in open_issues)
    return min(numbers, default=None)


def ignored_words(unknown: Sequence[int]) -> str:
    """Named blockers that do not exist, as people read it; empty where there are none."""
    if not unknown:
        return ""
    numbers = ", ".join(f"#{one}" for one in unknown)
    if len(unknown) == 1:
        return f"{numbers} does not exist, so it blocks nothing"
    return f"{numbers} do not exist, so they block nothing"


def branch_of_issue(pattern: str, number: int) -> str:
    """The branch that claims an issue: the pattern with `<N>` replaced."""
    return pattern.replace("<N>", str(number))


@dataclass(frozen=True)
class IssueFacts:
    """One issue with what is known about its branch and its runs.

    `in_the_way` is another branch beside which its own could not be made.
    """

    number: int
    body: str
    labels: Collection[str]
    is_open: bool
    branch: str
    branch_exists: bool | None
    has_open_run: bool
    open_change: int | None
    in_the_way: str | None = None


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
    if facts.in_the_way is not None:
        return f"parked: {facts.in_the_way}, beside which {facts.branch} cannot be made"
    blocker = blocked_by(facts.body, open_issues, itself=facts.number)
    return f"blocked by #{blocker}" if blocker is not None else None
