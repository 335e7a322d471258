"""The one way to HTML from text: values are escaped where they enter, and the whole is cleaned."""

from __future__ import annotations

from functools import cache
from html import escape

import nh3

TAGS = frozenset(
    [
        "a",
        "b",
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
    return _cleaner().clean(html)


def text(value: object) -> str:
    """A value as text inside HTML, attributes included."""
    return escape(str(value), quote=True)


def counted(number: int, word: str) -> str:
    """A number with its word: `1 file`, `2 files`."""
    return f"{number} {word}{'s' * (number != 1)}"
