"""Idempotency keys: which run holds a key, who may use it and when it is released (api.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from app.domain.idempotency import KeyTerms
from app.domain.words import Status
from app.errors import KeyReused, KeyTaken, NotFound
from app.records.feed import RunChanged
from app.records.people.audit_ledger import record
from app.records.runs import run_ledger
from app.records.runs.run_ledger import RunLedger
from app.records.stores.sessions import every
from app.records.tables import Run


@dataclass(frozen=True)
class Sent:
    """A submission under a key: project, person and the hash of the request body."""

    project_id: str
    key: str
    person_id: str
    body_hash: str


class Keys:
    """The keys of all projects; the database enforces uniqueness."""

    def __init__(self, runs: RunLedger, terms: KeyTerms) -> None:
        self._runs = runs
        self.terms = terms

    def known(self, sent: Sent, now: datetime) -> Run | None:
        """Return the run that a submission already created, in either store. Raises as `claim`."""
        with self._runs.stores.looking() as session:
            return self.known_in(session, sent, now)

    def known_in(self, session: Session, sent: Sent, now: datetime) -> Run | None:
        """Return the run that a submission already created, as a session sees it."""
        found = run_ledger.find_by_key(session, sent.project_id, sent.key)
        return self._replayed(found, sent, now)

    def claim(self, session: Session, sent: Sent, now: datetime) -> Run | None:
        """Return the run that a submission already created; if there is none, free its key.

        The key is removed from runs that no longer hold it. Raises KeyTaken, KeyReused.
        """
        found = run_ledger.find_by_key(session, sent.project_id, sent.key)
        held = self._replayed(found, sent, now)
        if held is None:
            for run in found:
                run.idempotency_key = None
            for one in every(session):
                one.flush()
        return held

    def _replayed(self, found: list[Run], sent: Sent, now: datetime) -> Run | None:
        held = self._holder(found, now)
        if held is None:
            return None
        if held.created_by != sent.person_id:
            raise KeyTaken
        if held.body_hash != sent.body_hash:
            raise KeyReused(run_id=held.id)
        return held

    def reset(self, project_id: str, key: str, person_id: str, now: datetime) -> Run:
        """Release a person's own key: its next use starts a new run; this run continues unchanged.

        Raises NotFound if no run holds the key, KeyTaken if another person's run does.
        """
        with self._runs.stores.spanning(project_id, "key_reset") as tx:
            found = run_ledger.find_by_key(tx, project_id, key)
            held = self._holder(found, now)
            if held is None:
                raise NotFound("No run holds this key.")
            if held.created_by != person_id:
                raise KeyTaken
            for run in found:
                run.idempotency_key = None
                own = self._runs.stores.part(tx, run.id)
                self._runs.append_event(own, run.id, now, "note", "its idempotency key was reset")
                own.publish(RunChanged(run.id, run.project_id))
            record(tx, held.id)
            return held

    def _holder(self, found: list[Run], now: datetime) -> Run | None:
        return next((held for held in found if not self._is_given_back(held, now)), None)

    def _is_given_back(self, held: Run, now: datetime) -> bool:
        is_released = held.released_at is not None
        return self.terms.is_given_back(
            Status(held.status), created_at=held.created_at, is_released=is_released, now=now
        )
