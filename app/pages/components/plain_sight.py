"""Text from outside in plain sight: what would hide, turn or fake something shows as an escape."""

from __future__ import annotations

from app.domain.safe_text import UNSAFE, escape_of, reveal
from app.pages.components.markup import text


def plain(value: object) -> str:
    """The text with hidden characters as `\\x00` and `\\u202e`; not yet escaped for HTML."""
    return reveal(str(value))


def plain_html(value: object) -> str:
    """The text for HTML, hidden characters as marked escapes."""
    parts, end = [], 0
    words = str(value)
    for match in UNSAFE.finditer(words):
        parts += [text(words[end : match.start()]), f'<i class="esc">{escape_of(match[0])}</i>']
        end = match.end()
    return "".join([*parts, text(words[end:])])
