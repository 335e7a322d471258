"""Reading of projects that tolerates single unreadable rows."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache

from sqlalchemy import bindparam
from sqlalchemy.exc import DataError
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.records.tables import Project

# errors that a value not written by Runyard raises on conversion to Python
_BAD_VALUE = (ValueError, TypeError, DataError)


class ProjectUnreadable(Exception):
    """A value in a project's row cannot be read; `sentence` is for people."""

    def __init__(self, project_id: str, sentence: str) -> None:
        super().__init__(f"project {project_id}: {sentence}")
        self.project_id = project_id
        self.sentence = sentence


@contextmanager
def unreadable_named(project_id: str) -> Generator[None]:
    """Turn errors from unreadable values into ProjectUnreadable; DatabaseSilent passes through."""
    try:
        yield
    except _BAD_VALUE as problem:
        said = str(getattr(problem, "orig", problem)).partition("\n")[0]
        sentence = f"A value in its database row cannot be read: {said}."
        raise ProjectUnreadable(project_id, sentence) from problem


def read_one(session: Session, project_id: str) -> Project | None:
    """Return the project with this id, or None. Raises ProjectUnreadable."""
    with unreadable_named(project_id):
        return session.exec(_by_id(), params={"project_id": project_id}).first()


@cache
def _by_id() -> SelectOfScalar[Project]:
    # built once: it is read for every accepted run, and building it costs as much as running it
    return select(Project).where(col(Project.id) == bindparam("project_id"))


def read_all(
    session: Session, query: SelectOfScalar[Project]
) -> tuple[list[Project], list[ProjectUnreadable]]:
    """Run a query; return the readable projects, in order, and the unreadable ones.

    Takes one statement if every row is fine; otherwise bad rows are found by bisection.
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
        # a later rollback must not expire the rows that were read
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
    """Return a project to display instead of an unreadable one; do not base decisions on it."""
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
