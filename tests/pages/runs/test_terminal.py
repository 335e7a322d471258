"""Terminal output as HTML: colors are kept, all other control sequences removed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.text.ansi import PLAIN, Style
from app.pages.components.markup import clean, plain, plain_html
from app.pages.runs.terminal import line_html, lines_html
from app.state.runs.run_log import LogLine

ESC = "\x1b"


def shown(line: str) -> str:
    return line_html(line)[0]


@pytest.mark.parametrize(
    ("line", "html"),
    [
        (f"{ESC}[31mred{ESC}[0m plain", '<span class="k1">red</span> plain'),
        (f"{ESC}[1;32mok{ESC}[m.", '<span class="k2 tb">ok</span>.'),
        (f"{ESC}[91;44mx", '<span class="k9 g4">x</span>'),
        (f"{ESC}[38;5;196mx", '<span class="k1">x</span>'),
        (f"{ESC}[38;2;85;255;85mx", '<span class="k10">x</span>'),
        (f"{ESC}[38:2::85:255:85mx", '<span class="k10">x</span>'),
        (f"{ESC}[3;4mx{ESC}[24my", '<span class="ti tu">x</span><span class="ti">y</span>'),
        (f"{ESC}[31mx{ESC}[39my", '<span class="k1">x</span>y'),
        (f"{ESC}[8mhidden", "hidden"),
        (f"{ESC}[99;38mx", "x"),
        (f"{ESC}[38;5mx", "x"),
    ],
)
def test_colours_and_weights_become_classes(line: str, html: str) -> None:
    assert shown(line) == html


@pytest.mark.parametrize(
    "escape",
    [
        f"{ESC}]8;;https://evil.test{ESC}\\",
        f"{ESC}]52;c;ZXZpbA==\x07",
        f"{ESC}]0;title\x07",
        f"{ESC}P$qm{ESC}\\",
        f"{ESC}[2J",
        f"{ESC}[201~",
        f"{ESC}[?1049h",
        f"{ESC}[6n",
        f"{ESC}c",
        f"{ESC}(B",
        f"{ESC}_apc{ESC}\\",
        "\x9b2J",
    ],
)
def test_every_other_escape_is_dropped(escape: str) -> None:
    assert shown(f"a{escape}b") == "ab"


def test_an_escape_without_an_end_hides_nothing_after_it() -> None:
    assert "evidence" in shown(f"{ESC}]0;evidence")


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ("\x00", "\\x00"),
        ("\x07", "\\x07"),
        ("\u202e", "\\u202e"),
        ("\u2066", "\\u2066"),
        ("\u200b", "\\u200b"),
        ("\u3000", "\\u3000"),
        ("\u2028", "\\u2028"),
        ("\ufeff", "\\ufeff"),
    ],
)
def test_what_hides_or_turns_text_shows_as_an_escape(raw: str, told: str) -> None:
    assert shown(f"a{raw}b") == f'a<i class="esc">{told}</i>b'
    assert plain(f"a{raw}b") == f"a{told}b"


@pytest.mark.parametrize("words", ["tab\there", "naïve", "日本語", "👩\u200d💻", "ok ✓", "עברית"])
def test_honest_text_stays_as_it_is(words: str) -> None:
    assert plain_html(words) == words


def test_markup_is_text() -> None:
    line = "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;"
    assert "<script" not in shown(line)
    assert "&lt;script&gt;" in shown(line)
    assert "&amp;amp;" in shown(line)


def test_a_colour_goes_on_over_lines_until_it_ends() -> None:
    html, style = lines_html([LogLine(f"{ESC}[31mone", 8), LogLine("two", 4)])
    assert html.count('class="k1"') == 2
    assert style == Style(ink=1)
    assert lines_html([LogLine(f"{ESC}[0m", 5)], style)[1] == PLAIN


def test_a_cut_line_says_how_much_is_not_shown() -> None:
    html, _ = lines_html([LogLine("x", 10_485_761, 10_481_760)])
    assert "10,481,760 more bytes" in html


@given(
    st.text(alphabet=st.sampled_from(list("a<>&\"'\x1b[]m;:0138P\\\x07\x9b\u202e ")), max_size=60)
)
def test_no_line_leaves_anything_for_the_cleaner_to_remove(line: str) -> None:
    html = shown(line)
    assert ESC not in html
    assert clean(html).replace("\xa0", "&nbsp;") == _as_the_cleaner_writes(html)


def _as_the_cleaner_writes(html: str) -> str:
    return html.replace("&quot;", '"').replace("&#x27;", "'")
