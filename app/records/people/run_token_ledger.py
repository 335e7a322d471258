"""The ledger of the tokens that agents of runs get, for their run's own issue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, or_, update
from sqlmodel import col, select

from app.records.database.database import Transaction
from app.records.feed import RunTokensChanged
from app.records.people.reach import within
from app.records.projects.forge_ledger import Seal, held_check
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Project, Run, RunToken


class NoMoreComments(Exception):
    """A run has written as many comments as it may."""


@dataclass(frozen=True)
class Held:
    """A token of a run, with the run and its project as they are now."""

    token: RunToken
    run: Run
    project: Project


class RunTokenLedger:
    """Tokens of runs, in the control store: hashes, and encrypted texts to mask."""

    def __init__(self, runs: RunLedger) -> None:
        self._runs = runs
        self._stores = runs.stores

    def all(self) -> Sequence[RunToken]:
        """Return the tokens of all runs that are not forgotten."""
        with within(None), self._stores.control.reading() as session:
            return session.exec(select(RunToken)).all()

    def of_run(self, run_id: str) -> RunToken | None:
        """Return the token of a run, or None."""
        with within(None), self._stores.control.reading() as session:
            return session.get(RunToken, run_id)

    def held(self, token_hash: str) -> Held | None:
        """Return the token with this hash, its run and its project, None if one is gone."""
        by_hash = select(RunToken).where(RunToken.token_hash == token_hash)
        with within(None), self._stores.looking() as session:
            token = session.exec(by_hash).first()
            run = self._runs.find_in(session, token.run_id) if token else None
            project = session.get(Project, token.project_id) if token else None
        if token is None or run is None or project is None:
            return None
        return Held(token, run, project)

    def keep(self, run: Run, issue: int, token_hash: str, seal: Seal, now: datetime) -> None:
        """Keep the token of a run that is launched; one of an earlier try counts no more."""
        with within(None), self._stores.control.transaction() as tx:
            sealed = seal(held_check(tx))
            known = tx.get(RunToken, run.id, with_for_update=True)
            if known is not None:
                known.token_hash, known.sealed, known.created_at = token_hash, sealed, now
            else:
                token = RunToken(
                    run_id=run.id,
                    project_id=run.project_id,
                    issue=issue,
                    token_hash=token_hash,
                    sealed=sealed,
                    created_at=now,
                )
                tx.add(token)
            tx.publish(RunTokensChanged())

    def forget_settled(self) -> int:
        """Delete the tokens of runs that are over and left no work that could be pushed later.

        Returns how many.
        """
        known = [one.run_id for one in self.all()]
        open_or_kept = or_(col(Run.released_at).is_(None), col(Run.parked))
        kept = set(
            self._stores.everywhere(select(Run.id).where(col(Run.id).in_(known), open_or_kept))
        )
        settled = [one for one in known if one not in kept]
        if not settled:
            return 0
        with within(None), self._stores.control.transaction() as tx:
            tx.exec(delete(RunToken).where(col(RunToken.run_id).in_(settled)))
            tx.publish(RunTokensChanged())
        return len(settled)


def count_comment(tx: Transaction, run_id: str, most: int) -> None:
    """Count a comment that a run's agent writes. Raises NoMoreComments after `most`."""
    its = col(RunToken.run_id) == run_id, col(RunToken.comments) < most
    counted = update(RunToken).where(*its).values(comments=RunToken.comments + 1)
    if tx.scalars(counted.returning(col(RunToken.run_id))).one_or_none() is None:
        raise NoMoreComments
