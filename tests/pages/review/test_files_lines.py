"""The lines of a diff as HTML: escaped, colored within bounds, marked where words changed."""

from __future__ import annotations

import re
from html import unescape
from time import perf_counter

import pytest

from app.domain.review.diffs import DiffLine
from app.pages.components.markup import clean
from app.pages.review.files.lines import LineLook, lines_html
from app.pages.review.files.syntax import LONGEST_LINE, colored

HOSTILE = "<img src=x onerror=alert(1)>\"'&amp;\u202e\x07<script>"


def added(*words: str) -> list[DiffLine]:
    """Return these as added lines."""
    return [DiffLine("add", line, None, number) for number, line in enumerate(words, 1)]


def shown(html: str) -> str:
    """Return what a person reads."""
    return unescape(re.sub(r"<[^>]*>", "", html))


@pytest.mark.parametrize("is_split", [False, True])
@pytest.mark.parametrize("path", ["a.py", "a.html", "a.md", "a.js", "a.unknown", '"><b>.py'])
def test_a_hostile_line_is_shown_as_text_with_its_hidden_characters(
    path: str, is_split: bool
) -> None:
    html = lines_html(path, added(HOSTILE), LineLook(is_split=is_split))
    assert "<img" not in html
    assert "<script" not in html
    assert r"\u202e" in html
    assert r"\x07" in html
    # quotes need no escape in a text, so sanitizing writes them as they are
    as_cleaned = html.replace("&quot;", '"').replace("&#x27;", "'")
    assert clean(html) == as_cleaned
    assert '<img src=x onerror=alert(1)>"' in shown(html)


def test_words_have_the_colors_of_their_language() -> None:
    html = lines_html("a.py", added("def now(): return call(1, 'x')  # why"), LineLook())
    for name, word in (("yk", "def"), ("yf", "now"), ("yf", "call"), ("yn", "1"), ("yc", "# why")):
        assert f'<span class="{name}">{word}</span>' in html
    assert "<span class=" not in lines_html("a.unknown", added("def x"), LineLook()).replace(
        "<span>", ""
    )


@pytest.mark.parametrize(
    "text", ["", "\n", "a\n\nb\n", '"""\nno end', "\r\n", "\x0c\x0b\x85", "\u2028", "x" * 5_000]
)
@pytest.mark.parametrize("path", ["a.py", "a.js", "a.c", "a.md", "a.yml", "Makefile", "a.html"])
def test_colors_never_change_the_text_of_a_line(path: str, text: str) -> None:
    lines = text.split("\n")
    parts = colored(path, lines)
    assert ["".join(word for _, word in line) for line in parts] == lines


def test_a_line_longer_than_ordinary_is_not_colored_and_those_after_it_are() -> None:
    long, short = colored("a.py", ["x = 1 #" + "y" * LONGEST_LINE, "import os"])
    assert [name for name, _ in long] == [""]
    assert ("yk", "import") in short


def test_a_line_of_a_megabyte_is_cut_and_says_so() -> None:
    began = perf_counter()
    html = lines_html("a.min.js", added("a(" * 500_000), LineLook())
    assert perf_counter() - began < 1
    assert len(html) < 10_000
    assert "998,000 more" in html


def test_the_changed_words_of_a_pair_are_marked_inside_their_colors() -> None:
    pair = [
        DiffLine("del", "return coupon.discount", 21, None),
        DiffLine("add", "return coupon.reduction", None, 23),
    ]
    html = lines_html("a.py", pair, LineLook())
    assert '<span class="yk">return</span>' in html
    assert '<span class="w">discount</span>' in html
    assert '<span class="w">reduction</span>' in html


def test_both_views_hold_each_line_once_with_its_place() -> None:
    lines = [
        DiffLine("hunk", "@@ -1,2 +1,2 @@ f"),
        DiffLine("same", "a", 1, 1),
        DiffLine("del", "b", 2, None),
        DiffLine("add", "c", None, 2),
        DiffLine("add", "d", None, 3),
    ]
    places = {("new", "1"), ("old", "2"), ("new", "2"), ("new", "3")}
    for is_split in (False, True):
        html = lines_html("a.txt", lines, LineLook(is_split=is_split))
        found = re.findall(r'data-testid="diff-line" data-side="(\w+)" data-line="(\d+)"', html)
        assert len(found) == len(places)
        assert set(found) == places
        assert html.count('data-testid="line-add"') == len(places)
    closed = lines_html("a.txt", lines, LineLook(can_comment=False))
    assert "line-add" not in closed
