"""Edits of the blockers that an issue's text names; the text stays the only place of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from app.domain.issues import blockers_of

_SAID = re.compile(
    r"^\s*[*_]{0,3}(?:blocked by|depends on)[*_]{0,3}:?[*_]{0,3}[ \t]*(?:issues?[ \t]+)?"
    r"#\d{1,9}(?:(?:[\s,;&]*(?:(?:and|or)\s+)?)#\d{1,9})*",
    re.IGNORECASE,
)
_LEFT_OVER = re.compile(
    r"^\s*(?:[-+*]|\d{1,9}[.)])?\s*(?:\[[ xX]\]\s*)?"
    r"(?:[*_]{0,3}(?:blocked by|depends on)[*_]{0,3}:?[*_]{0,3}(?:\s+issues?)?)?[\s.,;&]*$",
    re.IGNORECASE,
)
# lines that name one number, and numbers, that are taken out of a text; more is work for its author
MOST_LINES = 20
MOST_REMOVED = 50


def with_blocker_added(body: str, number: int) -> str:
    """Return the text with one more blocker, on the line that names others if there is one."""
    named = blockers_of(body)
    if number in named:
        return body
    lines = body.split("\n")
    for place, line in enumerate(lines):
        if said := _SAID.match(line):
            longer = f"{line[: said.end()]}, #{number}{line[said.end() :]}"
            tried = "\n".join([*lines[:place], longer, *lines[place + 1 :]])
            if set(blockers_of(tried)) == {*named, number}:
                return tried
    said = f"Blocked by #{number}"
    below = f"{body.rstrip()}\n\n{said}" if body.strip() else said
    if set(blockers_of(below)) == {*named, number}:
        return below
    # an open fence or list at the end would take it in
    return f"{said}\n\n{body}"


def with_blocker_removed(body: str, number: int) -> str | None:
    """Return the text without a blocker, None if it can only be taken out by hand."""
    wanted = [one for one in blockers_of(body) if one != number]
    reference = re.compile(rf"(?:[\s,;&]*(?:\b(?:and|or)\s+)?)?(?<![\w/#&-])#0*{number}\b")
    lines = body.split("\n")
    places = [place for place, line in enumerate(lines) if reference.search(line)]
    if len(places) > MOST_LINES:
        return None
    for place in places:
        if number not in blockers_of("\n".join(lines)):
            break
        if not _counts(lines, place, reference, number):
            continue
        line = lines[place]
        shorter = reference.sub("", line)
        shorter = re.sub(
            r"((?:by|on)[*_]{0,3}:?[*_]{0,3})[\s,;&]*(?:and\s+)?(?=#)", r"\1 ", shorter
        )
        lines[place] = "" if _LEFT_OVER.match(shorter) else shorter
    found = "\n".join(lines).rstrip() if lines[-1] == "" else "\n".join(lines)
    return found if blockers_of(found) == wanted else None


def with_blockers(body: str, wanted: Sequence[int]) -> tuple[str, int | None]:
    """Return the text that names exactly these blockers.

    Beside it, the first number that can only be taken out by hand; the text is then as before.
    """
    found, named, kept = body, blockers_of(body), set(wanted)
    gone = [one for one in named if one not in kept]
    if len(gone) > MOST_REMOVED:
        return body, gone[0]
    for number in gone:
        shorter = with_blocker_removed(found, number)
        if shorter is None:
            return body, number
        found = shorter
    # each look at a long text takes a while: only for those that it does not name yet
    missing = kept.difference(named)
    for number in [one for one in wanted if one in missing]:
        found = with_blocker_added(found, number)
    return found, None


def circle_objection(number: int, blocker: int, named: Mapping[int, Sequence[int]]) -> str:
    """Return why an issue cannot wait for another, as a sentence; empty if it can.

    `named` maps the open issues to their blockers.
    """
    if blocker == number:
        return "An issue cannot wait for itself."
    way = _way(blocker, number, named)
    if not way:
        return ""
    through = ", ".join(f"#{one}" for one in way[1:-1])
    if not through:
        return f"#{blocker} waits for #{number} already, so neither would ever start."
    return f"#{blocker} waits for #{number} through {through}, so none of them would ever start."


def _way(begin: int, end: int, named: Mapping[int, Sequence[int]]) -> list[int]:
    """Return the shortest way from one issue to another that it waits for, empty without one."""
    came_from, ahead = {begin: begin}, [begin]
    for one in ahead:
        for then in named.get(one, ()):
            if then not in came_from:
                came_from[then] = one
                ahead.append(then)
    way = [end] if end in came_from else []
    while way and way[0] != begin:
        way.insert(0, came_from[way[0]])
    return way


def _counts(lines: list[str], place: int, reference: re.Pattern[str], number: int) -> bool:
    """Return True if this line alone makes the number a blocker."""
    others = [
        "" if at != place and reference.search(line) else line for at, line in enumerate(lines)
    ]
    return number in blockers_of("\n".join(others))
