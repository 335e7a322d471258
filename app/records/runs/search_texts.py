"""Search texts of lists of runs, as conditions: what names a run, leads to it or resembles it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Select, String, Table, literal_column, or_, select

from app.domain.ids import SEEN, minted_between
from app.domain.issues import issue_named
from app.records.tables import Run
from app.records.tables.stores import mentions_text

RUNS: Table = Run.metadata.tables["runs"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
LAST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MILLISECOND - 1
# exactly as in its index, and the text that an id can end with
ENDING = "substr(runs.id, length(runs.id) - 5)"
ENDINGS = re.compile(rf"[0-9a-v_]{{{SEEN},40}}", re.ASCII)
# after the last character that an id can have, in every sort order
BEYOND = "w"

Conditions = list[ColumnElement[bool]]


def trimmed(text: str | None) -> str:
    """Return a search text without spaces around it, empty if nothing is left to search for."""
    found = (text or "").strip()
    return found if _words_of(found) else ""


def _words_of(text: str) -> str:
    return text.lstrip("…#")


def leading_to(text: str) -> list[Conditions]:
    """Return index ranges for a search text: a branch, an issue, or either end of an id."""
    if issue_named(text) is not None:
        return naming(text)
    text = _words_of(text)
    runs, id_text = RUNS.c, text.lower()
    found: list[Conditions] = [[runs.work_branch == text]]
    if text.isascii() and text.isdigit() and len(text) < 10:
        found.append([runs.issue == int(text)])
    if ENDINGS.fullmatch(id_text):
        whole = runs.id.endswith(id_text, autoescape=True)
        ending = literal_column(ENDING, String)
        found.append([ending == id_text[-SEEN:], whole])
    return found + _of_beginning(id_text)


def naming(text: str) -> list[Conditions]:
    """Return index ranges of the runs that a text names: `#` and an issue, or an id's beginning."""
    if (issue := issue_named(text)) is not None:
        return [[RUNS.c.issue == issue]]
    return _of_beginning(text.lower())


def _of_beginning(id_text: str) -> list[Conditions]:
    """Return index ranges of the runs whose id begins so."""
    minted = minted_between(id_text)
    if minted is None:
        return []
    # ids start with their creation time, so ids with one prefix are adjacent in time
    begin, end = (EPOCH + min(at, LAST) * MILLISECOND for at in minted)
    within = RUNS.c.created_at.between(begin - MILLISECOND, end + MILLISECOND)
    return [[within, _begins(id_text)], *([_near(id_text)] if minted[0] == minted[1] else [])]


def query_of_named(text: str) -> Select[str] | None:
    """Build the query for a run that a text names, along its index; None if it names none."""
    if (issue := issue_named(text)) is not None:
        of_issue = select(RUNS.c.id).where(RUNS.c.issue == issue)
        return of_issue.order_by(RUNS.c.created_at, RUNS.c.id)
    if minted_between(text.lower()) is None:
        return None
    return select(RUNS.c.id).where(*_near(text.lower())).order_by(RUNS.c.id)


def _near(id_text: str) -> Conditions:
    # an order of letters other than that of ASCII may leave ids out: those are found by their time
    return [RUNS.c.id >= id_text, RUNS.c.id < id_text + BEYOND, _begins(id_text)]


def _begins(id_text: str) -> ColumnElement[bool]:
    return RUNS.c.id.startswith(id_text, autoescape=True)


def resembles(text: str) -> ColumnElement[bool]:
    """Build the condition that a run's title, a tag, its branch or its id resembles a text."""
    if issue_named(text) is not None:
        # `#12` is an issue: a 12 in a branch or in an id is something else
        return _mentions(text)
    text = _words_of(text)
    return or_(
        RUNS.c.id.endswith(text.lower(), autoescape=True),
        RUNS.c.work_branch.istartswith(text, autoescape=True),
        _mentions(text),
    )


def _mentions(text: str) -> ColumnElement[bool]:
    return or_(RUNS.c.title.icontains(text, autoescape=True), mentions_text(RUNS.c.tags, text))
