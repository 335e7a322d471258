"""Edits of the blockers that an issue's text names; the text stays the only place of them."""

from __future__ import annotations

import re

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
    for place, line in enumerate(lines):
        if number not in blockers_of("\n".join(lines)):
            break
        if not reference.search(line) or not _counts(lines, place, reference, number):
            continue
        shorter = reference.sub("", line)
        shorter = re.sub(
            r"((?:by|on)[*_]{0,3}:?[*_]{0,3})[\s,;&]*(?:and\s+)?(?=#)", r"\1 ", shorter
        )
        lines[place] = "" if _LEFT_OVER.match(shorter) else shorter
    found = "\n".join(lines).rstrip() if lines[-1] == "" else "\n".join(lines)
    return found if blockers_of(found) == wanted else None


def _counts(lines: list[str], place: int, reference: re.Pattern[str], number: int) -> bool:
    """Return True if this line alone makes the number a blocker."""
    others = [
        "" if at != place and reference.search(line) else line for at, line in enumerate(lines)
    ]
    return number in blockers_of("\n".join(others))
