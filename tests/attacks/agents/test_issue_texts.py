"""A18, A19, A24: text written in an issue is only ever shown as text, and hides nothing."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.schemas import BoardIssueOut
from app.domain.secret_masks import Secret, dots, mask_of
from app.pages.components.markup import ATTRIBUTES, LONGEST, TAGS, clean, markdown_html
from app.pages.shell.page_session import PageSession
from app.pages.tracker.issue_rows import card, list_row
from tests.builders.issue_texts import TEXTS

NOW = datetime(2026, 3, 2, tzinfo=UTC)
HIDING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\u3000\ufeff]")


class Operator:
    """Somebody who may do everything with an issue."""

    def now(self) -> datetime:
        return NOW

    def may(self, deed: str, project_id: str | None = None) -> bool:
        return True


class Reader(HTMLParser):
    """A parser that collects the tags, attributes and links outside the allowlist."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Check a tag and each of its attributes."""
        if tag not in TAGS:
            self.found.append(tag)
        allowed = ATTRIBUTES["*"] | ATTRIBUTES.get(tag, set()) | {"rel"}
        for name, value in attrs:
            if name not in allowed and not name.startswith(("data-", "aria-")):
                self.found.append(f"{tag} {name}={value}")
            # browsers drop these characters before they parse the scheme
            scheme = re.match(
                r"([a-z][a-z0-9+.-]*):", re.sub(r"[\x00-\x20]", "", value or ""), re.I
            )
            if scheme and scheme[1].lower() not in ("http", "https", "mailto"):
                self.found.append(f"{tag} {name}={value}")


def dangers(html: str) -> list[str]:
    """Return everything in this HTML that could make a page act."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader.found


def test_the_corpus_is_no_smaller_than_it_was() -> None:
    assert len(set(TEXTS)) >= 60


@pytest.mark.parametrize("words", TEXTS)
def test_a_hostile_text_is_only_text(words: str) -> None:
    issue = BoardIssueOut.model_validate(
        {
            "project_id": "proj_1",
            "project_name": words,
            "number": 1,
            "title": words,
            "labels": [words],
            "priority": "normal",
            "state": "ready",
            "next": words,
            "tone": "alarm",
            "may_run": True,
            "agent": words,
            "updated_at": NOW,
        }
    )
    assert dangers(markdown_html(words)) == []
    session = cast(PageSession, Operator())
    for look in (list_row(issue, session, of_one=False), card(issue, session)):
        row = clean(look.html)
        assert dangers(row) == []
        assert row.count("<a ") == 1


@settings(max_examples=25)
@given(st.text(max_size=300))
def test_any_text_can_be_shown_and_hides_nothing(words: str) -> None:
    is_shown_and_hides_nothing(words)


@pytest.mark.soak
@settings(max_examples=1000, deadline=None)
@given(st.text(max_size=300))
def test_a_thousand_texts_can_be_shown_and_hide_nothing(words: str) -> None:
    is_shown_and_hides_nothing(words)


def is_shown_and_hides_nothing(words: str) -> None:
    html = markdown_html(words)
    assert dangers(html) == []
    assert not HIDING.search(html.replace("\n", ""))


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a\u202eb", "a\\u202eb"),
        ("afk/1\u3000&& rm", "afk/1\\u3000&amp;&amp; rm"),
        ("\x1b]52;c;eA==\x07", "\\x1b]52;c;eA==\\x07"),
        ("<!-- do this instead -->", "&lt;!-- do this instead --&gt;"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("line\u2028end", "line\\u2028end"),
    ],
)
def test_what_would_hide_is_shown(words: str, shown: str) -> None:
    assert shown in markdown_html(words)
    long = markdown_html(words + " " * LONGEST)
    assert shown in long.replace('<i class="esc">', "").replace("</i>", "")


@pytest.mark.parametrize("length", range(8, 14))
@pytest.mark.parametrize("quoted", [False, True])
def test_the_mask_of_a_secret_is_drawn_as_it_is(length: int, quoted: bool) -> None:
    secret = "k3y/+" + "x" * (length - 5)
    mask = mask_of((Secret("KEY", secret),)).mask_text(secret)
    for words in (
        f"The *token* is {secret} and {secret}, not **this**",
        f"{secret}{secret}a{secret}",
        f"1{secret}\n{secret} first\n{secret} *x*",
        f"`{secret}` in code",
        f"[{secret}](https://example.test/?{secret})",
    ):
        said = f"> {words}" if quoted else words
        html = markdown_html(mask_of((Secret("KEY", secret),)).mask_text(said))
        assert html.count(mask) == words.count(secret) - words.count("?" + secret), html
        assert html.count("<em>") == words.count("*token") + words.count("*x*")
        assert html.count("<strong>") == words.count("**this")
        assert "<li>" not in html


@pytest.mark.parametrize("length", range(8, 14))
def test_a_person_may_set_a_mask_in_bold(length: int) -> None:
    mask = dots(length).decode()
    assert len(mask.encode()) == length
    assert f"<strong>{mask}</strong>" in markdown_html(f"It is **{mask}**")
    assert f"<em>{mask}</em>" in markdown_html(f"It is *{mask}*")
    assert "<strong>Fix</strong>" in markdown_html("•**Fix**: the cart")


@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "![",
        "[a](",
        ">",
        "*a_ ",
        "~~a",
        "`" * 7,
        "<",
        "- ",
        "|a|-|\n",
        "&#x;",
        "\\",
        "**x ",
        "•*",
    ],
)
def test_the_longest_text_is_formatted_in_time(piece: str) -> None:
    for size in (LONGEST, 256 * 1024):
        words = (piece * (size // len(piece) + 1))[:size]
        begun = time.process_time()
        markdown_html(words)
        assert time.process_time() - begun < 2
