"""The ledger of issues that forges keep, as they were last read."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Text, cast, delete, func, or_, update
from sqlmodel import Session, col, select

from app.records.database.database import Transaction
from app.records.feed import ProjectChanged
from app.records.projects.issue_queue import OPEN
from app.records.projects.tracker_ledger import batched
from app.records.stores.routing import Stores
from app.records.tables import ForgeIssue, ForgeListing

# closed issues that are kept of a project: those that changed last
KEPT_CLOSED = 500
# what is written of an issue; its key never changes
_COLUMNS = tuple(one for one in ForgeIssue.model_fields if one not in ("project_id", "number"))


class KeptReady(NamedTuple):
    """Open issues of a project with a label, and the numbers of all that are open."""

    issues: list[ForgeIssue]
    open_numbers: set[int]


class ForgeIssueLedger:
    """Issues of forges and how each project's list stands, in the control store."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def listings(self) -> dict[str, ForgeListing]:
        """Return how each project's list stands, by project id."""
        with self.stores.control.reading() as session:
            return read_listings(session)

    def count_open(self, project_id: str) -> int | None:
        """Return how many issues are open, None if that was never read."""
        query = select(func.count()).where(
            ForgeIssue.project_id == project_id, ForgeIssue.state == OPEN
        )
        with self.stores.control.reading() as session:
            listing = session.get(ForgeListing, project_id)
            is_known = listing is not None and listing.whole_at is not None
            return session.exec(query).one() if is_known else None

    def ready_of(self, project_ids: Collection[str], label: str) -> dict[str, KeptReady]:
        """Return the open issues with a label of those projects whose list is known, by id."""
        # LIKE on the JSON text only preselects; the labels themselves are compared below
        like = cast(col(ForgeIssue.labels), Text).contains(json.dumps(label), autoescape=True)
        with self.stores.control.reading() as session:
            found = {
                one: KeptReady([], set())
                for one, listing in read_listings(session).items()
                if one in project_ids and listing.whole_at and not listing.silent_since
            }
            for some in batched(found):
                mine = col(ForgeIssue.project_id).in_(some), col(ForgeIssue.state) == OPEN
                numbers = select(ForgeIssue.project_id, ForgeIssue.number).where(*mine)
                for project_id, number in session.exec(numbers):
                    found[project_id].open_numbers.add(number)
                query = select(ForgeIssue).where(*mine, like).order_by(col(ForgeIssue.number))
                for row in session.exec(query):
                    if label in row.labels:
                        found[row.project_id].issues.append(row)
        return found

    def seen(self, project_id: str, number: int) -> tuple[ForgeIssue, ForgeListing] | None:
        """Return an issue as it was last read and how its list stands, or None."""
        with self.stores.control.reading() as session:
            row = session.get(ForgeIssue, (project_id, number))
            listing = session.get(ForgeListing, project_id)
            return None if row is None or listing is None else (row, listing)

    def open_among(self, project_id: str, numbers: Collection[int]) -> set[int]:
        """Return those of these numbers that were open."""
        found: set[int] = set()
        with self.stores.control.reading() as session:
            for some in batched(numbers):
                query = select(ForgeIssue.number).where(
                    ForgeIssue.project_id == project_id,
                    col(ForgeIssue.number).in_(some),
                    ForgeIssue.state == OPEN,
                )
                found.update(session.exec(query))
        return found

    def differs(self, project_id: str, issues: Sequence[ForgeIssue], but: Collection[str]) -> bool:
        """Return True if one of these issues is not kept like this; `but` are columns not told."""
        known: dict[int, ForgeIssue] = {}
        with self.stores.control.reading() as session:
            for numbers in batched({one.number for one in issues}):
                query = select(ForgeIssue).where(
                    ForgeIssue.project_id == project_id, col(ForgeIssue.number).in_(numbers)
                )
                known |= {one.number: one for one in session.exec(query)}
        told = [name for name in _COLUMNS if name not in but]
        return any(
            one.number not in known
            or any(getattr(one, name) != getattr(known[one.number], name) for name in told)
            for one in issues
        )

    def keep_whole(self, project_id: str, found: Sequence[ForgeIssue], now: datetime) -> bool:
        """Keep a whole list: all open issues and some closed ones. Return True if it is news.

        Open ones that are not in it any more are gone.
        """
        with self.stores.control.transaction() as tx:
            listing = tx.get(ForgeListing, project_id)
            is_news = listing is None or listing.whole_at is None or bool(listing.silent_since)
            if listing is None:
                listing = ForgeListing(project_id=project_id)
                tx.add(listing)
            is_news |= _replace(tx, project_id, found)
            listing.whole_at = listing.read_at = now
            times = [one.updated_at for one in found]
            listing.newest_at = max(
                [*times, *([listing.newest_at] if listing.newest_at else [])], default=None
            )
            listing.silent_since = listing.silent_because = None
            if is_news:
                tx.publish(ProjectChanged(project_id))
        return is_news

    def note_read(self, project_ids: Collection[str], now: datetime) -> None:
        """Note that the forge answered, and that nothing had changed in these projects."""
        with self.stores.control.transaction() as tx:
            for some in batched(project_ids):
                mine = col(ForgeListing.project_id).in_(some)
                silent = select(ForgeListing.project_id).where(
                    mine, col(ForgeListing.silent_since).is_not(None)
                )
                tx.publish(*map(ProjectChanged, tx.exec(silent).all()))
                query = update(ForgeListing).where(mine)
                tx.exec(query.values(read_at=now, silent_since=None, silent_because=None))

    def note_silence(self, project_ids: Collection[str], because: str, now: datetime) -> None:
        """Note since when, and why, the lists of these projects cannot be read."""
        with self.stores.control.transaction() as tx:
            for one in project_ids:
                if tx.get(ForgeListing, one) is None:
                    tx.add(ForgeListing(project_id=one))
            tx.flush()
            for some in batched(project_ids):
                query = update(ForgeListing).where(
                    col(ForgeListing.project_id).in_(some), col(ForgeListing.silent_since).is_(None)
                )
                tx.exec(query.values(silent_since=now, silent_because=because))
            tx.publish(*map(ProjectChanged, project_ids))


def read_listings(session: Session) -> dict[str, ForgeListing]:
    """Return how the list of each project of a forge stands, by project id."""
    return {one.project_id: one for one in session.exec(select(ForgeListing))}


def _replace(tx: Transaction, project_id: str, found: Sequence[ForgeIssue]) -> bool:
    """Write what differs, and delete what is gone or old; return True if anything was."""
    known: dict[int, ForgeIssue] = {}
    numbers = {one.number for one in found}
    still_open = select(ForgeIssue).where(
        ForgeIssue.project_id == project_id, ForgeIssue.state == OPEN
    )
    known |= {one.number: one for one in tx.exec(still_open)}
    for some in batched(numbers - known.keys()):
        query = select(ForgeIssue).where(
            ForgeIssue.project_id == project_id, col(ForgeIssue.number).in_(some)
        )
        known |= {one.number: one for one in tx.exec(query)}
    is_news = False
    for number, row in known.items():
        if number not in numbers:
            tx.delete(row)
            is_news = True
    for one in found:
        row = known.get(one.number)
        if row is None:
            tx.add(one)
            is_news = True
            continue
        for name in _COLUMNS:
            if getattr(row, name) != getattr(one, name):
                setattr(row, name, getattr(one, name))
                is_news = True
    tx.flush()
    _trim(tx, project_id)
    return is_news


def _trim(tx: Transaction, project_id: str) -> None:
    closed = (col(ForgeIssue.project_id) == project_id, col(ForgeIssue.state) == "closed")
    newest = (
        select(ForgeIssue.updated_at, ForgeIssue.number)
        .where(*closed)
        .order_by(col(ForgeIssue.updated_at).desc(), col(ForgeIssue.number).desc())
    )
    last = tx.exec(newest.offset(KEPT_CLOSED - 1).limit(1)).first()
    if last is not None:
        at, number = last
        is_older = or_(
            col(ForgeIssue.updated_at) < at,
            (col(ForgeIssue.updated_at) == at) & (col(ForgeIssue.number) < number),
        )
        tx.exec(delete(ForgeIssue).where(*closed, is_older))
