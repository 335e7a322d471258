"""Reading the audit: filtered pages, verification of the hash chain, and trimming."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, false, or_
from sqlmodel import Session, col, select

from app.records.database.cursors import read_position, write_position
from app.records.database.database import Database, Transaction
from app.records.people.audit_ledger import FIRST, hash_of
from app.records.tables import Audit, Person

AT_ONCE = 1000
TRIMMED = "trim_audit"
UNTIL = "until"
# how ids begin that are about work, not about people
WORK = ("proj_", "run_", "batch_", "bulk_")


@dataclass(frozen=True)
class AuditFilter:
    """A filter of audit rows; `person` is an id or a name, `object` also matches all below it.

    With `is_work` only acts on projects, runs and batches match, with `projects` only those on
    these projects.
    """

    person: str | None = None
    deed: str | None = None
    object: str | None = None
    since: datetime | None = None
    is_work: bool = False
    projects: frozenset[str] | None = None


@dataclass(frozen=True)
class Misfit:
    """The first row that breaks the chain, with the reason; `fitting` rows before it were right."""

    id: int
    because: str
    fitting: int


def page(
    database: Database, wanted: AuditFilter, *, limit: int, cursor: str | None
) -> tuple[list[Audit], str | None]:
    """Return a page of matching rows, newest first, and the next page's cursor.

    Raises BadCursor.
    """
    terms = list(_terms(wanted))
    if cursor:
        terms.append(col(Audit.id) < read_position(cursor).at)
    query = select(Audit).where(*terms).order_by(col(Audit.id).desc()).limit(limit + 1)
    with database.reading() as session:
        found = list(session.exec(query).all())
    rows = found[:limit]
    has_more = len(found) > limit
    return rows, write_position(rows[-1].id or 0) if has_more else None


def first_misfit(database: Database) -> Misfit | int:
    """Verify the chain: return the first row that breaks it, or the number of rows if none does."""
    fitting, previous = 0, None
    with database.reading() as session:
        for row in _all(session):
            number = row.id or 0
            if previous is None and not _is_beginning(session, row.previous):
                return Misfit(number, "the rows before it are gone", fitting)
            if previous is not None and row.previous != previous:
                return Misfit(number, "a row before it is gone, or is another", fitting)
            if hash_of(row.model_dump()) != row.hash:
                return Misfit(number, "it was changed after it was written", fitting)
            fitting, previous = fitting + 1, row.hash
    return fitting


def trim(tx: Transaction, before: datetime) -> tuple[int, str]:
    """Delete rows older than `before`, but never the last row.

    Returns how many, and the hash of the last deleted one.
    """
    last = select(Audit.id).order_by(col(Audit.id).desc()).limit(1).scalar_subquery()
    kept = select(Audit.id).where(col(Audit.at) >= before).order_by(col(Audit.id)).limit(1)
    end = tx.scalars(kept).first() or tx.scalars(select(last)).first() or 0
    old = tx.exec(select(Audit).where(col(Audit.id) < end).order_by(col(Audit.id).desc())).first()
    if old is None:
        return 0, ""
    until = old.hash
    tx.expunge(old)
    gone = tx.scalars(delete(Audit).where(col(Audit.id) < end).returning(col(Audit.id))).all()
    return len(gone), until


def _terms(wanted: AuditFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.person:
        is_named = or_(col(Person.name) == wanted.person, col(Person.full_name) == wanted.person)
        named = select(Person.id).where(is_named)
        yield or_(col(Audit.person) == wanted.person, col(Audit.person).in_(named))
    if wanted.deed:
        yield col(Audit.deed) == wanted.deed
    if wanted.object:
        yield _is_on(wanted.object)
    if wanted.projects is not None:
        yield or_(false(), *map(_is_on, sorted(wanted.projects)))
    elif wanted.is_work:
        yield or_(*(col(Audit.object).startswith(one, autoescape=True) for one in WORK))
    if wanted.since:
        yield col(Audit.at) >= wanted.since


def _is_on(object_: str) -> ColumnElement[bool]:
    thing = col(Audit.object)
    return or_(thing == object_, (thing > f"{object_}/") & (thing < f"{object_}0"))


def _all(session: Session) -> Iterator[Audit]:
    last = 0
    while rows := _after(session, last):
        yield from rows
        last = rows[-1].id or 0
        session.expunge_all()


def _after(session: Session, last: int) -> list[Audit]:
    query = select(Audit).where(col(Audit.id) > last).order_by(col(Audit.id)).limit(AT_ONCE)
    return list(session.exec(query).all())


def _is_beginning(session: Session, previous: str) -> bool:
    """Return True if the chain starts here, or a later row records that it was trimmed to here."""
    if previous == FIRST:
        return True
    query = select(col(Audit.after)).where(col(Audit.deed) == TRIMMED)
    return any(told and told.get(UNTIL) == previous for told in session.exec(query).all())
