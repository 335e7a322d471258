"""StatusPill: a word on its tone."""

from __future__ import annotations

from app.domain.words import Cause, Status
from app.pages.components.markup import text
from app.pages.theme import look_of


def pill_html(words: str, tone: str = "", *, testid: str = "", title: str = "") -> str:
    """A pill of plain words; `tone` is go, wait, stop, acc or idle."""
    return pill_of(text(words), tone, testid=testid, title=title)


def pill_of(inner_html: str, tone: str = "", *, testid: str = "", title: str = "") -> str:
    """A pill around markup that is already escaped, a ticking time say."""
    marks = f' data-testid="{text(testid)}"' if testid else ""
    marks += f' title="{text(title)}"' if title else ""
    return f'<span class="pill {text(tone)}"{marks}><span>{inner_html}</span></span>'


def status_pill_html(status: Status, cause: Cause | None = None, *, testid: str = "") -> str:
    """A run's status as a pill."""
    look = look_of(status, cause)
    return pill_html(look.word, look.tone, testid=testid)
