"""ANSI in text: its tokens, what strips it, and where a piece of it ends."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.text.ansi import PLAIN, Rendition, Style, paint, strip, tokens, unfinished_at

RED = Rendition("31", "\x1b[31m")
HOSTILE = st.text(alphabet="\x1b\x9b\x9d[]P;m0?\x07\\ \r\n\tab\u00e9", max_size=60)


@pytest.mark.parametrize(
    ("text", "whole", "piece"),
    [
        ("a\x1b[31mb", ["a", RED, "b"], ["a", RED, "b"]),
        ("\x9b31mb", [Rendition("31", "\x9b31m"), "b"], [Rendition("31", "\x9b31m"), "b"]),
        ("a\x1b[2J\x1b]0;t\x07b", ["a", "b"], ["a", "b"]),
        # a title without an end: a line shows it, a piece may get its end later
        ("a\x1b]0;b", ["a", "0;b"], ["a"]),
        ("a\x1b]0;b\tc", ["a", "0;b\tc"], ["a", "\tc"]),
        ("a\x1b]0;b\tc\x07d", ["a", "d"], ["a", "\tc\x07d"]),
        ("a\x1b", ["a"], ["a\x1b"]),
        ("a\x1b (\u00e9", ["a", "\u00e9"], ["a\x1b (\u00e9"]),
        ("a\x00b", ["a\x00b"], ["a\x00b"]),
    ],
)
def test_a_line_and_a_piece_have_their_tokens(
    text: str, whole: list[str | Rendition], piece: list[str | Rendition]
) -> None:
    assert list(tokens(text)) == whole
    assert list(tokens(text, is_piece=True)) == piece


@given(HOSTILE)
def test_a_stripped_text_holds_no_control_characters_but_tabs_and_line_breaks(text: str) -> None:
    assert not set(strip(text)) & set("\x1b\x9b\x9d\x07\r")
    colored = strip(text, keep_colors=True)
    assert strip(colored) == strip(text)
    assert "".join(one for one in tokens(colored) if isinstance(one, str)) == strip(text)


@given(HOSTILE, st.lists(st.integers(0, 60), max_size=5))
def test_pieces_that_wait_for_their_ends_strip_to_the_whole(text: str, cuts: list[int]) -> None:
    kept, held = "", ""
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for begin, end in pairwise(edges):
        held += text[begin:end]
        at = unfinished_at(held, 0)
        kept, held = kept + strip(held[:at]), held[at:]
    assert kept + strip(held) == strip(text)


def test_a_style_follows_its_sequences() -> None:
    style = PLAIN.after(Rendition("1;38;5;196", ""))
    assert style == Style(ink=1, marks=frozenset({"bold"}))
    assert style.after(Rendition("22;104", "")) == Style(ink=1, ground=12)
    assert style.after(Rendition("", "")) == PLAIN


def test_only_the_known_colors_paint() -> None:
    assert paint("ok", "green") == "\x1b[32mok\x1b[0m"
    assert paint("ok", "mauve") == "ok"
