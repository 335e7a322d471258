"""Reading projects where one row may be unreadable: the others are read all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy.exc import DataError
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.records.tables import Project

# what a value that no program of ours wrote raises when it is turned into Python's
_BAD_VALUE = (ValueError, TypeError, DataError)


class ProjectUnreadable(Exception):
    """A project's row is there, but a value in it cannot be read; `sentence` is for people."""

    def __init__(self, project_id: str, sentence: str) -> None:
        super().__init__(f"project {project_id}: {sentence}")
        self.project_id = project_id
        self.sentence = sentence


@contextmanager
def unreadable_named(project_id: str) -> Iterator[None]:
    """Raise ProjectUnreadable for a value that cannot be read; a silent database stays one."""
    try:
        yield
    except _BAD_VALUE as problem:
        said = str(getattr(problem, "orig", problem)).partition("\n")[0]
        sentence = f"A value in its database row cannot be read: {said}."
        raise ProjectUnreadable(project_id, sentence) from problem


def read_all(
    session: Session, query: SelectOfScalar[Project]
) -> tuple[list[Project], list[ProjectUnreadable]]:
    """The projects of a query that can be read, in its order, and those that cannot.

    One statement where every row is fine; a bad one is found by halving, so it costs few more.
    """
    try:
        return list(session.exec(query).all()), []
    except _BAD_VALUE:
        session.rollback()
    ids = list(session.scalars(query.with_only_columns(col(Project.id))).all())
    return _read_half(session, ids)


def _read_half(session: Session, ids: list[str]) -> tuple[list[Project], list[ProjectUnreadable]]:
    if not ids:
        return [], []
    try:
        with unreadable_named(ids[0]):
            found = session.exec(select(Project).where(col(Project.id).in_(ids))).all()
        # the next one that cannot be read must not take those with it that could
        session.expunge_all()
        by_id = {one.id: one for one in found}
        return [by_id[one] for one in ids if one in by_id], []
    except ProjectUnreadable as problem:
        session.rollback()
        if len(ids) == 1:
            return [], [problem]
    middle = len(ids) // 2
    (good, bad), (more, worse) = (
        _read_half(session, half) for half in (ids[:middle], ids[middle:])
    )
    return good + more, bad + worse


def stand_in(problem: ProjectUnreadable, name: str) -> Project:
    """A project to show in the place of one that cannot be read; nothing may be decided by it."""
    return Project(
        id=problem.project_id,
        name=name,
        origin="",
        base_branch="",
        tracker="builtin",
        agent="",
        budget_seconds=1,
        max_concurrency=1,
        open_pr="runyard",
        branch_pattern="afk/<N>",
        frameworks=[],
        sandbox="contained",
        state="broken",
        state_because=problem.sentence,
        known_branches=[],
        created_at=datetime.fromtimestamp(0, UTC),
    )
