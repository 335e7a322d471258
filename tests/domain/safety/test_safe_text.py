"""Invisible characters show as escapes, the same way everywhere in Runyard."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.output.terminal import clean
from app.domain.names import project_name_problem
from app.domain.notifications import tame
from app.domain.safe_text import blank, is_safe_name, reveal, reveal_hidden
from app.pages.components.markup import plain, plain_html

HIDDEN = {
    "soft hyphen": "\u00ad",
    "grapheme joiner": "\u034f",
    "Arabic letter mark": "\u061c",
    "Hangul filler": "\u115f",
    "Khmer vowel without a shape": "\u17b4",
    "Mongolian selector": "\u180b",
    "last Mongolian selector": "\u180d",
    "Mongolian vowel separator": "\u180e",
    "thin space": "\u2009",
    "zero width space": "\u200b",
    "zero width non-joiner": "\u200c",
    "right-to-left mark": "\u200f",
    "line separator": "\u2028",
    "right-to-left override": "\u202e",
    "word joiner": "\u2060",
    "invisible times": "\u2062",
    "isolate": "\u2066",
    "braille blank": "\u2800",
    "ideographic space": "\u3000",
    "wide Hangul filler": "\u3164",
    "narrow Hangul filler": "\uffa0",
    "selector that no emoji has": "\ufe00",
    "byte order mark": "\ufeff",
    "annotation": "\ufff9",
    "object": "\ufffc",
    "musical beam": "\U0001d173",
    "language tag": "\U000e0001",
    "tag letter": "\U000e0041",
    "cancel tag": "\U000e007f",
    "far selector": "\U000e0100",
    "joiner between letters": "\u200d",
    "selector after a letter": "\ufe0f",
}
HONEST = [
    *(
        "tab\there",
        "na\u00efve",
        "\u65e5\u672c\u8a9e",
        "\u05e2\u05d1\u05e8\u05d9\u05ea",
        "ok \u2713",
    ),
    *(
        "\U0001f469\u200d\U0001f4bb",
        "\u2764\ufe0f\u200d\U0001f525",
        "1\ufe0f\u20e3",
        "\u26a0\ufe0f",
    ),
    *("\U0001f44d\U0001f3fd", "e\u0301", "\u0627\u0644\u0633\u0644\u0627\u0645", "10\u00a0000"),
]
# visible, though Unicode calls them formats: signs before or under Arabic and Kaithi numbers
SEEN_FORMATS = {
    *map(chr, range(0x600, 0x606)),
    *"\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd",
}


@pytest.mark.parametrize("character", HIDDEN.values(), ids=HIDDEN)
def test_a_hidden_character_shows_everywhere_as_the_same_escape(character: str) -> None:
    code = ord(character)
    shown = f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else ""
    shown = shown or f"\\U{code:08x}"
    text = f"a{character}b"
    assert plain(text) == clean(text) == reveal_hidden(text) == f"a{shown}b"
    assert plain_html(text) == f'a<i class="esc">{shown}</i>b'
    assert tame(text) == "a b"
    assert project_name_problem(text)


@pytest.mark.parametrize("code", [*range(0x09), *range(0x0A, 0x20), *range(0x7F, 0xA0)])
def test_a_control_character_is_never_handed_on(code: int) -> None:
    text = f"a{chr(code)}b"
    assert plain(text) == f"a\\x{code:02x}b"
    assert chr(code) not in clean(text)
    assert chr(code) not in tame(text)
    assert project_name_problem(text)


@pytest.mark.parametrize("words", HONEST)
def test_letters_of_any_script_and_emoji_stay_as_they_are(words: str) -> None:
    assert plain(words) == clean(words) == plain_html(words) == words


def test_words_smuggled_as_tags_behind_an_emoji_are_read_by_everybody() -> None:
    smuggled = "\U0001f600" + "".join(chr(0xE0000 + ord(letter)) for letter in "rm")
    assert plain(smuggled) == clean(smuggled) == "\U0001f600\\U000e0072\\U000e006d"
    bytes_ = "\U0001f600\ufe0f\ufe0f\ufe01"
    assert plain(bytes_) == clean(bytes_) == "\U0001f600\ufe0f\\ufe0f\\ufe01"


def is_unseen(character: str) -> bool:
    """Return True for what Unicode calls a control, format, space or surrogate."""
    return unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Zs", "Cs")


@given(st.text(st.characters(), max_size=40))
def test_nothing_that_unicode_calls_unseen_is_left_in_a_text(text: str) -> None:
    left = {one for one in reveal(text) if is_unseen(one)} - SEEN_FORMATS
    assert left <= set(" \t\xa0\u200d")
    assert not {one for one in blank(text) if is_unseen(one)} - SEEN_FORMATS - set(" \xa0\u200d")
    assert reveal(reveal(text)) == reveal(text)


def test_every_character_that_unicode_calls_unseen_is_revealed() -> None:
    unseen = [one for one in map(chr, range(0x110000)) if is_unseen(one)]
    kept = {one for one in unseen if reveal(one) == one}
    assert kept == SEEN_FORMATS | set(" \t\xa0")
    assert {one for one in unseen if is_safe_name(f"a{one}b")} == SEEN_FORMATS | {" "}
