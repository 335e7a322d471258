"""Text that people and agents write, as Markdown: never HTML of its own, never a picture."""

from __future__ import annotations

import asyncio
import re
from functools import cache

from markdown_it import MarkdownIt

from app.pages.components.markup import clean
from app.pages.components.plain_sight import plain, plain_html

# what is longer is shown as it was typed: formatting it could hold everybody up
LONGEST = 32 * 1024
LARGEST = 512 * 1024
_LINES = re.compile(r"\r\n|\r|\n")
# wide code and wide tables scroll inside themselves: by the keyboard, too
_SCROLLING, _BY_KEYS = re.compile("<(pre|table)>"), r'<\1 tabindex="0">'


@cache
def _reader() -> MarkdownIt:
    # HTML is shown as text, comments in it too: whoever reads sees all that an agent would read
    reader = MarkdownIt("commonmark", {"html": False, "breaks": True})
    return reader.enable(["table", "strikethrough"]).disable("image")


def markdown_html(words: str) -> str:
    """Clean HTML of a text; what would hide or turn something in it shows as an escape."""
    lines = _LINES.split(words) if len(words) <= LONGEST else None
    if lines is not None:
        shown = _reader().render("\n".join(plain(line) for line in lines))
        if len(shown) <= LARGEST:
            return f'<div class="prose-md">{clean(_SCROLLING.sub(_BY_KEYS, shown))}</div>'
    typed = "\n".join(plain_html(line) for line in _LINES.split(words))
    return clean(f'<pre class="body">{typed}</pre>')


async def format_markdown(words: str) -> str:
    """The same, beside the loop that all pages share."""
    return await asyncio.to_thread(markdown_html, words)
