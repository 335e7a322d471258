"""Text from outside in plain sight: what would hide, turn or fake something shows as an escape."""

from __future__ import annotations

import re

from app.pages.components.markup import text

# Controls but tab, bidirectional and zero-width characters, and spaces that are not the usual one;
# a joiner inside an emoji stays.
_HIDING = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u1680\u180b-\u180e\u2000-\u200c"
    "\u200e\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ufeff\ufff9-\ufffb]"
    "|(?<![\u2190-\U0010ffff])\u200d"
)


def plain(value: object) -> str:
    """The text with hiding characters as `\\x00` and `\\u202e`; not yet escaped for HTML."""
    return _HIDING.sub(lambda match: _escape(match[0]), str(value))


def plain_html(value: object) -> str:
    """The text for HTML, hiding characters as marked escapes."""
    parts, end = [], 0
    words = str(value)
    for match in _HIDING.finditer(words):
        parts += [text(words[end : match.start()]), f'<i class="esc">{_escape(match[0])}</i>']
        end = match.end()
    return "".join([*parts, text(words[end:])])


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
