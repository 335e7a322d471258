"""The ledger of the texts of forges' issues that count: those that stood there when labelled."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from app.records.feed import ProjectChanged
from app.records.people.audit_ledger import record
from app.records.stores.routing import Stores
from app.records.tables import IssueText

Written = TypeVar("Written")
# what a look leaves as it is
_SAID = {"project_id", "number", "approved_sha256", "ticked"}


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
        """Keep what was seen of an issue, in place of what was; what a person said stays."""
        return _again_if_taken(lambda: self._keep(seen))

    def _keep(self, seen: IssueText) -> IssueText:
        with self._stores.control.transaction() as tx:
            known = tx.get(IssueText, (seen.project_id, seen.number))
            if known is None:
                tx.add(IssueText(**seen.model_dump()))
            else:
                told = seen.model_dump(exclude=_SAID)
                for name, value in told.items():
                    setattr(known, name, value)
                seen.approved_sha256 = known.approved_sha256
            tx.publish(ProjectChanged(seen.project_id))
        return seen

    def approve(self, project_id: str, number: int, **said: Any) -> None:
        """Keep what a person said of an issue: `approved_sha256` of its text, `ticked` comments."""
        _again_if_taken(lambda: self._approve(project_id, number, said))

    def _approve(self, project_id: str, number: int, said: dict[str, Any]) -> None:
        with self._stores.control.transaction() as tx:
            known = tx.get(IssueText, (project_id, number))
            if known is None:
                # not labelled so far: the first look is still to come
                known = IssueText(
                    project_id=project_id,
                    number=number,
                    event=0,
                    labelled_by="",
                    may_label=False,
                    seen_sha256="",
                )
                tx.add(known)
            for name, value in said.items():
                setattr(known, name, value)
            record(tx, project_id, after={"issue": number, **said})
            tx.publish(ProjectChanged(project_id))


def _again_if_taken(write: Callable[[], Written]) -> Written:
    """Write once more if another server has inserted the row at the same moment."""
    try:
        return write()
    except IntegrityError:
        return write()
