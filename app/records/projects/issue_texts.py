"""The ledger of the texts of forges' issues that count: those that stood there when labelled."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from app.records.feed import ProjectChanged
from app.records.people.audit_ledger import record
from app.records.stores.routing import Stores
from app.records.tables import IssueText


class IssueTexts:
    """Texts of forges' labelled issues as they were seen, in the control store."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def of(self, project_id: str, numbers: Collection[int]) -> dict[int, IssueText]:
        """Return what was seen of these issues, by number."""
        if not numbers:
            return {}
        theirs = col(IssueText.project_id) == project_id, col(IssueText.number).in_(numbers)
        with self._stores.control.reading() as session:
            return {one.number: one for one in session.exec(select(IssueText).where(*theirs)).all()}

    def keep(self, seen: IssueText) -> IssueText:
        """Keep what was seen of an issue, in place of what was; an approval stays."""
        try:
            return self._keep(seen)
        except IntegrityError:
            # another server looked at the same moment, and has kept it first
            return self._keep(seen)

    def _keep(self, seen: IssueText) -> IssueText:
        with self._stores.control.transaction() as tx:
            known = tx.get(IssueText, (seen.project_id, seen.number))
            if known is None:
                tx.add(IssueText(**seen.model_dump()))
            else:
                told = seen.model_dump(exclude={"project_id", "number", "approved_sha256"})
                for name, value in told.items():
                    setattr(known, name, value)
                seen.approved_sha256 = known.approved_sha256
            tx.publish(ProjectChanged(seen.project_id))
        return seen

    def approve(self, project_id: str, number: int, sha256: str) -> None:
        """Note that a person has approved a text of an issue."""
        theirs = col(IssueText.project_id) == project_id, col(IssueText.number) == number
        with self._stores.control.transaction() as tx:
            tx.exec(update(IssueText).where(*theirs).values(approved_sha256=sha256))
            record(tx, project_id, after={"issue": number, "approved_sha256": sha256})
            tx.publish(ProjectChanged(project_id))
