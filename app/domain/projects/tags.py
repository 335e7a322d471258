"""The tags of projects: short words by which people find and group them."""

from __future__ import annotations

from collections.abc import Iterable

MAX_TAGS = 10
MAX_TAG = 40


def tags_in_order(tags: Iterable[str]) -> list[str]:
    """Return each tag once, in the order given; `Web` and `web` are one tag, as first written."""
    found: dict[str, str] = {}
    for tag in tags:
        found.setdefault(tag.casefold(), tag)
    return list(found.values())


def tags_problem(tags: Iterable[str]) -> str | None:
    """Return what is wrong with these tags in one sentence, None if nothing is."""
    for tag in tags:
        if len(tag) > MAX_TAG:
            return f"A tag has at most {MAX_TAG} characters."
        if "," in tag:
            return f"A tag has no comma: {tag!r} is more than one."
        if not tag.isprintable():
            return "A tag has printable characters only."
    return None


def has_tag(tags: Iterable[str], wanted: str) -> bool:
    """Return True if `wanted` is one of the tags, however it is capitalized."""
    return wanted.casefold() in {tag.casefold() for tag in tags}
