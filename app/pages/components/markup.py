"""The one way to HTML from text: values are escaped where they enter, and the whole is cleaned."""

from __future__ import annotations

from functools import cache, lru_cache
from html import escape

import nh3

TAGS = frozenset(
    [
        "a",
        "b",
        "blockquote",
        "br",
        "button",
        "code",
        "dd",
        "del",
        "details",
        "div",
        "dl",
        "dt",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "ins",
        "kbd",
        "label",
        "li",
        "mark",
        "ol",
        "p",
        "pre",
        "progress",
        "s",
        "small",
        "span",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "time",
        "tr",
        "ul",
        "wbr",
    ]
)
ATTRIBUTES = {
    "*": {"class", "title", "role", "lang", "dir", "tabindex", "hidden"},
    "a": {"href", "target", "download"},
    "button": {"type"},
    "details": {"open"},
    "label": {"for"},
    "ol": {"start"},
    "progress": {"max", "value"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "time": {"datetime"},
}


# about as much as a card has in it; a log's lines are long, and no two pieces of them the same
CARD_CHARS = 8_000


@cache
def _cleaner() -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        generic_attribute_prefixes={"data-", "aria-"},
        url_schemes={"http", "https", "mailto"},
    )


def clean(html: str) -> str:
    """HTML with nothing in it that could run or load something; for `ui.html(sanitize=clean)`."""
    return _clean_once(html) if len(html) <= CARD_CHARS else _cleaner().clean(html)


@lru_cache(256)
def _clean_once(html: str) -> str:
    # a change is drawn by every open page, and all but the first draw the same
    return _cleaner().clean(html)


def text(value: object) -> str:
    """A value as text inside HTML, attributes included."""
    return escape(str(value), quote=True)


def counted(number: int, word: str) -> str:
    """A number with its word: `1 file`, `2 files`."""
    return f"{number} {word}{'s' * (number != 1)}"
