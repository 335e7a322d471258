"""The only way to turn text into HTML: values are escaped on entry and the result is sanitized."""

from __future__ import annotations

import asyncio
import re
from functools import cache, lru_cache
from html import escape

import nh3
from markdown_it import MarkdownIt

from app.domain.safe_text import UNSAFE, escape_of, reveal

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


# about one card; longer HTML, such as log lines, hardly ever repeats and is not cached
CARD_CHARS = 8_000


# longer text is shown unformatted: parsing it could stall every page
LONGEST = 32 * 1024
LARGEST = 512 * 1024
_LINES = re.compile(r"\r\n|\r|\n")
_IN_BACKQUOTES = re.compile(r"`([^`<>\n]+)`")
# wide code and tables scroll in their own box, which the keyboard must be able to reach
_SCROLLING, _BY_KEYS = re.compile("<(pre|table)>"), r'<\1 tabindex="0">'


@cache
def _cleaner() -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        generic_attribute_prefixes={"data-", "aria-"},
        url_schemes={"http", "https", "mailto"},
    )


def clean(html: str) -> str:
    """Return HTML without anything that runs or loads; for `ui.html(sanitize=clean)`."""
    return _clean_once(html) if len(html) <= CARD_CHARS else _cleaner().clean(html)


@lru_cache(256)
def _clean_once(html: str) -> str:
    # every open page draws the same change, so all but the first hit the cache
    return _cleaner().clean(html)


def text(value: object) -> str:
    """Escape a value for HTML text and attributes."""
    return escape(str(value), quote=True)


def coded_html(value: object) -> str:
    """Return `plain_html` with the commands that a sentence has in backquotes set as code."""
    return _IN_BACKQUOTES.sub(r"<code>\1</code>", plain_html(value))


def counted(number: int, word: str) -> str:
    """Return a number with its noun: `1 file`, `2 files`."""
    return f"{number} {word}{'s' * (number != 1)}"


def plain(value: object) -> str:
    """Show hidden characters as `\\x00` and `\\u202e`; the result is not escaped for HTML."""
    return reveal(str(value))


def plain_html(value: object) -> str:
    """Escape text for HTML and mark hidden characters as visible escapes."""
    parts: list[str] = []
    words, end = str(value), 0
    for match in UNSAFE.finditer(words):
        parts += [text(words[end : match.start()]), f'<i class="esc">{escape_of(match[0])}</i>']
        end = match.end()
    return "".join([*parts, text(words[end:])])


@cache
def _reader() -> MarkdownIt:
    # HTML and its comments are shown as text, so a person sees everything an agent would read
    reader = MarkdownIt("commonmark", {"html": False, "breaks": True})
    return reader.enable(["table", "strikethrough"]).disable("image")


def markdown_html(words: str) -> str:
    """Render Markdown as clean HTML; characters that hide or reorder text show as escapes."""
    lines = _LINES.split(words) if len(words) <= LONGEST else None
    if lines is not None:
        shown = _reader().render("\n".join(plain(line) for line in lines))
        if len(shown) <= LARGEST:
            return f'<div class="prose-md">{clean(_SCROLLING.sub(_BY_KEYS, shown))}</div>'
    typed = "\n".join(plain_html(line) for line in _LINES.split(words))
    return clean(f'<pre class="body">{typed}</pre>')


async def format_markdown(words: str) -> str:
    """Run `markdown_html` in a thread, off the event loop."""
    return await asyncio.to_thread(markdown_html, words)
