"""Issues and change requests found by words of their titles, or by their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from sqlalchemy import literal_column
from sqlmodel import Session, and_, col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from app.records.tables import ChangeRequest, IssueRow, Project

Row = TypeVar("Row", IssueRow, ChangeRequest)
LARGEST_NUMBER = 2**31 - 1


def names_of_projects(session: Session) -> dict[str, str]:
    """Return the names of the projects that are not archived, by id."""
    query = select(Project.id, Project.name).where(col(Project.archived_at).is_(None))
    return dict(session.exec(query).all())


def issues_and_changes(
    session: Session, words: Sequence[str], names: Mapping[str, str], most: int
) -> list[IssueRow | ChangeRequest]:
    """Return issues and change requests, newest first, at most `most` of each.

    Each word is in the title or in the project's name, of open ones only: their partial index is
    read, so that the cost does not grow with history. A number finds closed ones, too.
    """
    # exactly as in the partial indexes, or SQLite does not use them
    issues = _found(session, IssueRow, words, names, "issue.state = 'open'", most)
    is_open = "change_request.state = 'open'"
    changes = _found(session, ChangeRequest, words, names, is_open, most)
    return [*issues, *changes]


def _found(
    session: Session,
    table: type[Row],
    words: Sequence[str],
    names: Mapping[str, str],
    is_open: str,
    most: int,
) -> list[Row]:
    among = col(table.project_id).in_(list(names))
    found: dict[tuple[str, int], Row] = {}
    numbers = [int(word) for word in words if word.isascii() and word.isdecimal()]
    if len(words) == len(numbers) == 1 and numbers[0] <= LARGEST_NUMBER:
        numbered = select(table).where(among, col(table.number) == numbers[0])
        found |= _rows(session, numbered, table, most)
    said = [
        or_(
            col(table.title).icontains(word, autoescape=True),
            col(table.project_id).in_(_named(names, word)),
        )
        for word in words
    ]
    query = select(table).where(literal_column(is_open), among, and_(*said))
    return list((found | _rows(session, query, table, most)).values())[:most]


def _named(names: Mapping[str, str], word: str) -> list[str]:
    return [one for one, name in names.items() if word.casefold() in name.casefold()]


def _rows(
    session: Session, query: SelectOfScalar[Row], table: type[Row], most: int
) -> dict[tuple[str, int], Row]:
    rows = session.exec(query.order_by(col(table.created_at).desc()).limit(most)).all()
    return {(row.project_id, row.number): row for row in rows}
