"""Handover from run to run: the link to a retry, and parked work that it takes over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Unpack

from sqlalchemy import update
from sqlmodel import col, select

from app.domain.rules import is_opened_by_agent
from app.records.database.database import Database, Transaction
from app.records.feed import ProjectChanged, RunChanged
from app.records.runs.run_columns import RunColumns
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Run

# key in the successor's timeline: runs of the other store that must still give up their work
REST = "rest"


@dataclass(frozen=True)
class Heads:
    """Commits that runs left as heads of their branch; `pushed` are those pushed to origin."""

    made: frozenset[str]
    pushed: frozenset[str]


class HandoverLedger:
    """Writes two runs together: in one transaction if both are in the same store."""

    def __init__(self, runs: RunLedger) -> None:
        self._runs = runs
        self._stores = runs.stores

    def link(self, tx: Transaction, successor: Run) -> None:
        """Link a run to its retry, in the transaction that accepts the retry."""
        # locked, so that of two retries accepted at once both are recorded
        first = tx.get(Run, successor.retry_of, with_for_update=True)
        if first is not None:
            first.retried_by, first.retries = successor.id, [*first.retries, successor.id]
            tx.flush()
            tx.publish(RunChanged(first.id, successor.project_id))

    def pass_on(
        self,
        holders: Sequence[Run],
        successor: Run,
        now: datetime,
        *,
        base_sha: str,
        data: dict[str, Any],
    ) -> None:
        """Hand the parked work of ended runs over to this open run.

        The successor's store is written first; its timeline line lists the holders in the other
        store, for `take_remaining` to finish after a crash.
        """
        own = self._stores.owner_of(successor.id)
        if rest := [run.id for run in holders if self._stores.owner_of(run.id) is not own]:
            data = data | {REST: rest}
        for number, database in enumerate(self._owners(successor, *holders)):
            if number:
                self._stores.between("pass_on.between_stores")
            with database.transaction() as tx:
                if database is own:
                    self._write(tx, successor, base_sha=base_sha)
                    sentence = f"continues on {successor.work_branch} from {base_sha[:7]}"
                    self._runs.append_event(tx, successor.id, now, "claimed", sentence, data)
                for holder in self._of(database, holders):
                    self._let_go(tx, holder, successor, now)

    def take_remaining(self, successor: Run, now: datetime) -> None:
        """Finish a handover for holders in the other store that still have their work."""
        for event in self._runs.timeline(successor.id):
            for run_id in event.data.get(REST, ()):
                holder = self._runs.find(run_id)
                if holder is not None and holder.parked:
                    with self._stores.owner_of(run_id).transaction() as tx:
                        self._let_go(tx, holder, successor, now)

    def _let_go(self, tx: Transaction, holder: Run, successor: Run, now: datetime) -> None:
        is_parked = (col(Run.id) == holder.id, col(Run.parked))
        let_go = update(Run).where(*is_parked).values(parked=False).returning(col(Run.id))
        if tx.scalars(let_go).one_or_none() is not None:
            tx.publish(RunChanged(holder.id, holder.project_id))
            tx.publish(ProjectChanged(holder.project_id))
            sentence = f"a retry continues on {holder.work_branch}"
            self._runs.append_event(tx, holder.id, now, "note", sentence, {"run_id": successor.id})

    def rename(self, runs: Sequence[Run], branch: str, now: datetime, *, sentence: str) -> None:
        """Record that the branch of kept work was renamed."""
        for number, database in enumerate(self._owners(*runs)):
            if number:
                self._stores.between("rename.between_stores")
            with database.transaction() as tx:
                for run in self._of(database, runs):
                    self._write(tx, run, work_branch=branch)
                    self._runs.append_event(tx, run.id, now, "note", sentence)

    def of_branch(self, project_id: str, branch: str) -> list[Run]:
        """Return all runs that have worked on a branch, unordered."""
        query = select(Run).where(Run.project_id == project_id, Run.work_branch == branch)
        return list(self._stores.everywhere(query))

    def heads(self, project_id: str, branch: str) -> Heads:
        """Return the heads that all our runs have left on a branch."""
        runs = self.of_branch(project_id, branch)
        made, pushed = {run.head_sha for run in runs if run.head_sha}, self.pushed_by(runs)
        return Heads(frozenset(made) | pushed, pushed)

    def record_push(self, run: Run, sha: str, now: datetime) -> None:
        """Record once that a commit is about to be pushed; recorded commits count as Runyard's."""
        if sha not in self.pushed_by([run]):
            sentence = f"pushing {run.work_branch} at {sha[:7]}"
            self._runs.append_event_once(run.id, now, "note", sentence, pushed=sha)

    def record_adoption(
        self, run: Run, number: int, sha: str, now: datetime, *, is_own: bool
    ) -> bool:
        """Record a pull request that the run's agent opened, and its head; False if it was known.

        `is_own`: the head has nothing but the run's commits, and counts as Runyard's from now on.
        """
        rows = [event.data for event in self._runs.timeline(run.id)]
        is_known = any(row.get("adopts") == number and row.get("head") == sha for row in rows)
        if not is_known:
            sentence = f"taking over pull request #{number} at {sha[:7]}"
            pushed = {"pushed": sha} if is_own else {}
            data = {"adopts": number, "head": sha, **pushed}
            self._runs.append_event_once(run.id, now, "note", sentence, **data)
        return not is_known

    def adopted_by(self, run: Run) -> int | None:
        """Return the number of the request that was last recorded as taken over, or None."""
        found = [event.data.get("adopts") for event in self._runs.timeline(run.id)]
        return next((int(one) for one in reversed(found) if one), None)

    def delivered_beside(self, run: Run) -> frozenset[int]:
        """Return the numbers of the requests that are the deliveries of the branch's other runs."""
        others = self.of_branch(run.project_id, run.work_branch)
        found = (one.delivery for one in others if one.id != run.id and one.delivery)
        # one that was closed may be opened again by a retry
        return frozenset(int(one["number"]) for one in found if one["state"] != "closed")

    def pushed_by(self, runs: Sequence[Run]) -> frozenset[str]:
        """Return the commits that these runs pushed, or were about to push, to their branch."""
        pushed: set[str] = set()
        for run in runs:
            # others may have added to a request that its agent opened
            if run.delivery and not is_opened_by_agent(run.provenance):
                pushed.add(str(run.delivery["head_sha"]))
            lines = (event.data.get("pushed") for event in self._runs.timeline(run.id))
            pushed |= {str(sha) for sha in lines if sha}
        return frozenset(pushed)

    def _owners(self, *runs: Run) -> list[Database]:
        return list(dict.fromkeys(self._stores.owner_of(run.id) for run in runs))

    def _of(self, database: Database, runs: Sequence[Run]) -> list[Run]:
        return [run for run in runs if self._stores.owner_of(run.id) is database]

    def _write(self, tx: Transaction, run: Run, **columns: Unpack[RunColumns]) -> None:
        tx.exec(update(Run).where(col(Run.id) == run.id).values(**columns))
        tx.publish(RunChanged(run.id, run.project_id), ProjectChanged(run.project_id))
