"""Hidden and control characters in external text: one list for pages, CLI and notifications.

Hidden characters show nothing, change the direction of text, or imitate a plain space. Visible
letters and signs stay, as do emoji with their joiners and selectors.
"""

from __future__ import annotations

import re

_CONTROLS = "\x00-\x1f\x7f-\x9f"
_HIDDEN = (
    "\u00ad\u034f\u061c"  # soft hyphen, grapheme joiner, Arabic letter mark
    "\u115f\u1160\u3164\uffa0"  # Hangul fillers
    "\u17b4\u17b5\u180b-\u180f"  # invisible Khmer vowels, Mongolian selectors
    "\u1680\u2000-\u200c\u200e\u200f\u2028-\u202f\u205f-\u206f"  # spaces, breaks, marks, bidi
    "\u2800\u3000"  # blank braille, ideographic space
    "\ud800-\udfff"  # surrogates
    "\ufe00-\ufe0d\ufeff\ufff0-\ufffc"  # selectors, byte order mark, annotations
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # format controls
    "\U000e0000-\U000e0fff"  # tags and selectors: entirely invisible text
)
# signs that can be joined, and those that also have an emoji form
_PICTURE = "\u2190-\u2bff\U0001f000-\U0001faff"
_TWO_FORMS = f"#*0-9\u00a9\u00ae\u203c\u2049\u2122\u2139\u3030\u303d\u3297\u3299{_PICTURE}"
_STRAY = f"(?<![{_PICTURE}\ufe0f])\u200d|\u200d(?![{_PICTURE}])|(?<![{_TWO_FORMS}])[\ufe0e\ufe0f]"
_SPACED = re.compile(f"[{_CONTROLS}{_HIDDEN}]|{_STRAY}")

CONTROL = re.compile(f"(?!\t)[{_CONTROLS}]")
HIDDEN = re.compile(f"[{_HIDDEN}]|{_STRAY}")
UNSAFE = re.compile(f"{CONTROL.pattern}|{HIDDEN.pattern}")


def escape_of(character: str) -> str:
    """Return the visible escape of a character: `\\x00`, `\\u202e`, `\\U000e0041`."""
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def reveal(text: str) -> str:
    """Return the text on one line, with hidden and control characters except tab escaped."""
    return UNSAFE.sub(lambda found: escape_of(found[0]), text)


def reveal_hidden(text: str) -> str:
    """Return the text with hidden characters escaped; control characters are left as they are."""
    return HIDDEN.sub(lambda found: escape_of(found[0]), text)


def blank(text: str) -> str:
    """Replace each hidden or control character by a space, including tabs and line breaks."""
    return _SPACED.sub(" ", text)


def is_safe_name(name: str) -> bool:
    """Return True if a name has no hidden or control character, and no space but the plain one."""
    return "\xa0" not in name and not _SPACED.search(name)
