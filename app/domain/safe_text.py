"""Hidden and control characters in text from outside: one list for pages, CLI and notifications.

Hidden is what shows nothing, turns the text around it, or looks like a plain space and is none.
Letters and signs that anybody can see stay, as do emoji with their joiners and selectors.
"""

from __future__ import annotations

import re

_CONTROLS = "\x00-\x1f\x7f-\x9f"
_HIDDEN = (
    "\u00ad\u034f\u061c"  # soft hyphen, grapheme joiner, Arabic letter mark
    "\u115f\u1160\u3164\uffa0"  # Hangul fillers
    "\u17b4\u17b5\u180b-\u180f"  # Khmer vowels that show nothing, Mongolian selectors
    "\u1680\u2000-\u200c\u200e\u200f\u2028-\u202f\u205f-\u206f"  # spaces, breaks, marks, bidi
    "\u2800\u3000"  # braille without a dot, ideographic space
    "\ud800-\udfff"  # halves of a character
    "\ufe00-\ufe0d\ufeff\ufff0-\ufffc"  # selectors, byte order mark, annotations
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # formats of notations
    "\U000e0000-\U000e0fff"  # tags and selectors: text that shows nothing at all
)
# signs that may be joined to each other, and those that also have a coloured form
_PICTURE = "\u2190-\u2bff\U0001f000-\U0001faff"
_TWO_FORMS = f"#*0-9\u00a9\u00ae\u203c\u2049\u2122\u2139\u3030\u303d\u3297\u3299{_PICTURE}"
_STRAY = f"(?<![{_PICTURE}\ufe0f])\u200d|\u200d(?![{_PICTURE}])|(?<![{_TWO_FORMS}])[\ufe0e\ufe0f]"
_SPACED = re.compile(f"[{_CONTROLS}{_HIDDEN}]|{_STRAY}")

CONTROL = re.compile(f"(?!\t)[{_CONTROLS}]")
HIDDEN = re.compile(f"[{_HIDDEN}]|{_STRAY}")
UNSAFE = re.compile(f"{CONTROL.pattern}|{HIDDEN.pattern}")


def escape_of(character: str) -> str:
    """The visible name of a character: `\\x00`, `\\u202e`, `\\U000e0041`."""
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def reveal(text: str) -> str:
    """The text on one line, hidden and control characters but the tab as visible escapes."""
    return UNSAFE.sub(lambda found: escape_of(found[0]), text)


def reveal_hidden(text: str) -> str:
    """The text with hidden characters as visible escapes; controls are left to the caller."""
    return HIDDEN.sub(lambda found: escape_of(found[0]), text)


def blank(text: str) -> str:
    """The text with a space for each hidden or control character, tab and line break included."""
    return _SPACED.sub(" ", text)


def is_safe_name(name: str) -> bool:
    """True where nothing in a name is hidden, a control, or a space that is not the usual one."""
    return "\xa0" not in name and not _SPACED.search(name)
