"""The audit: who did what that others rely on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from app.records.tables import Audit


@dataclass(frozen=True)
class Deed:
    """A thing done by a person: `what` is one word, `because` a sentence."""

    person_id: str
    what: str
    because: str
    correlation_id: str
    project_id: str | None = None
    run_id: str | None = None


def write_down(tx: Session, deed: Deed, now: datetime) -> None:
    """Add a deed, in the transaction that does it."""
    tx.add(Audit(at=now, **deed.__dict__))
