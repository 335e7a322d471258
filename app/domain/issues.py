"""Reasons why an issue is not started: its state, its branch, and blockers named in its text."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.domain.words import READY_LABEL, Priority

MAX_BODY_BYTES = 256 * 1024
BLOCKING_WORDS = ("blocked by", "depends on")
_WITH_SIGN = re.compile(r"#0*([0-9]{1,9})", re.ASCII)
_LINES = re.compile(r"\r\n|\r|\n")
_HEADING = re.compile(r"^ {0,3}#{1,6}(?P<rest>[ \t].*)?$")
_UNDERLINE = re.compile(r"^ {0,3}(?:=+|-+)[ \t]*$")
_FENCE = re.compile(r"^ {0,3}(?P<fence>`{3,}|~{3,})(?P<rest>.*)$")
_REFERENCE = re.compile(r"(?<![\w/#&-])#(\d{1,9})\b")
# `Blocked by #3`, in a list or not, plain or emphasized; the numbers after it are parsed one by one
_SAYS = re.compile(
    r"^\s*(?P<item>(?:[-+*]|\d{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?)?"
    r"[*_]{0,3}(?:blocked by|depends on)[*_]{0,3}:?[*_]{0,3}[ \t]*(?:issues?[ \t]+)?(?=#)",
    re.IGNORECASE,
)
_NEXT_NUMBER = re.compile(r"(?:[\s,;&]*(?:(?:and|or)\s+)?)#(\d{1,9})\b", re.IGNORECASE)
_ITEM = re.compile(r"^\s*(?:[-+*]|\d{1,9}[.)])[ \t]")
_CODE = (" " * 4, "\t")
# lines that an underline does not turn into a heading: empty, list, quote, indented code
_NO_TITLE = re.compile(r"^(?:\s*$| {4}|\t| {0,3}(?:[-+*>]|\d{1,9}[.)])(?:\s|$))")


def blockers_of(body: str) -> list[int]:
    """Return the issue numbers that a text names as blockers, in order, without duplicates.

    They are in a section headed `Blocked by` or `Depends on`, in such a heading itself, or on a
    line that starts that way (`Blocked by #3, #4`). Outside such a section, code and quotes are
    ignored.
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
            # indented text below a list belongs to it, elsewhere it is code
            in_list = bool(_ITEM.match(line)) or (in_list and line.startswith(_CODE))
    return list(numbers)


def _numbers_of_heading(title: str) -> list[int] | None:
    """Return the numbers in a heading that starts a section of blockers, None for another."""
    words = title.strip().rstrip(":").rstrip().casefold()
    if words in BLOCKING_WORDS:
        return []
    return _numbers_said(title) or None


def _numbers_said(line: str) -> list[int]:
    """Return the numbers after `Blocked by` at the start of a line, up to the next other word."""
    says = _SAYS.match(line)
    numbers: list[int] = []
    place = says.end() if says else len(line)
    while found := _NEXT_NUMBER.match(line, place):
        numbers.append(int(found[1]))
        place = found.end()
    return numbers


def _title_of(line: str, above: str) -> str | None:
    """Return the text of a heading that ends on this line, or None."""
    heading = _HEADING.match(line)
    if heading:
        # not a regex: one for the closing marks takes minutes on a hostile line
        words = (heading["rest"] or "").strip(" \t")
        unmarked = words.rstrip("#")
        return unmarked if unmarked.endswith((" ", "\t")) or not unmarked else words
    return above if _UNDERLINE.match(line) and not _NO_TITLE.match(above) else None


def _fence_after(line: str, fence: str) -> str:
    """Return the code fence that is open after this line, empty if there is none."""
    found = _FENCE.match(line)
    if not found:
        return fence
    if not fence:
        # the info string after a backtick fence cannot contain a backtick
        return "" if found["fence"][0] == "`" and "`" in found["rest"] else found["fence"]
    closes = found["fence"].startswith(fence) and not found["rest"].strip()
    return "" if closes else fence


def blocker_among(
    named: Sequence[int], open_issues: Collection[int], *, itself: int = 0
) -> int | None:
    """Return the lowest open one of the named issues, or None; an issue cannot block itself."""
    return min((n for n in named if n != itself and n in open_issues), default=None)


def issue_named(text: str) -> int | None:
    """Return the issue that a search text names by `#` and its number; None for any other text."""
    named = _WITH_SIGN.fullmatch(text)
    return int(named[1]) if named else None


class Queued(Protocol):
    """Facts of an issue that decide when its turn comes."""

    @property
    def number(self) -> int:
        """Its number."""
        ...

    @property
    def priority(self) -> str:
        """A value of Priority."""
        ...

    @property
    def rank(self) -> int | None:
        """The place that a person gave it among those of its priority, lowest first."""
        ...


_URGENCIES: dict[str, int] = {priority: place for place, priority in enumerate(Priority)}


def queue_order(issue: Queued) -> tuple[int, bool, int, int]:
    """Return the sort key of the queue: priority, then the places people gave, then number."""
    return _URGENCIES[issue.priority], issue.rank is None, issue.rank or 0, issue.number


def queue_words(issue: Queued) -> str:
    """Return why an issue goes before lower numbers; empty if only its number decides."""
    urgent = "" if issue.priority == Priority.NORMAL else f"{issue.priority} priority"
    return ", ".join(filter(None, (urgent, "" if issue.rank is None else "placed by hand")))


def notes_of(unknown_blockers: Sequence[int]) -> list[str]:
    """Return a sentence about each number that an issue names as a blocker without effect."""
    return [f"#{number} does not exist" for number in unknown_blockers]


def branch_of_issue(pattern: str, number: int) -> str:
    """Return the branch that claims an issue: the pattern with `<N>` replaced."""
    return pattern.replace("<N>", str(number))


@dataclass(frozen=True)
class IssueFacts:
    """One issue with the state of its branch and its runs.

    `in_the_way` is an existing branch whose name prevents git from creating the issue's branch.
    `dependencies` are blockers beside the text, `blocked_elsewhere` open ones elsewhere, and
    `doubt` is why a person must look at its text first.
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
    dependencies: Collection[int] = ()
    blocked_elsewhere: Sequence[str] = ()
    doubt: str = ""


def issue_hold(facts: IssueFacts, open_issues: Collection[int]) -> str | None:
    """Return why this issue is not started, as a sentence; None if it is claimable."""
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
    named = [*blockers_of(facts.body), *facts.dependencies]
    blocker = blocker_among(named, open_issues, itself=facts.number)
    if blocker is not None:
        return f"blocked by #{blocker}"
    if facts.blocked_elsewhere:
        return f"blocked by {facts.blocked_elsewhere[0]}"
    return facts.doubt or None
