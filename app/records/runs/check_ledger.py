"""The ledger of checks: each is written before its process begins, and ended once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import col, select

from app.domain.projects.check_rounds import (
    BROKEN_BY,
    CheckEnd,
    CheckOutcome,
    names_for_people,
)
from app.domain.projects.checks import Check
from app.domain.words import CheckStatus, Status
from app.records.database.database import Transaction
from app.records.feed import RunChanged
from app.records.runs.run_ledger import RunLedger
from app.records.tables import CheckResult, Run


def outcome_of(row: CheckResult) -> CheckOutcome:
    """Return a row as the domain judges it."""
    end = CheckEnd(CheckStatus(row.status), row.because or "", row.exit_code)
    return CheckOutcome(row.name, row.required, end)


def last_begun(tx: Transaction, run_id: str) -> datetime | None:
    """Return when the run's last check began, None if it has none."""
    query = select(CheckResult.started_at).where(CheckResult.run_id == run_id)
    return tx.scalars(query.order_by(col(CheckResult.started_at).desc()).limit(1)).first()


class CheckLedger:
    """The results of the checks of runs, in the store of their run."""

    def __init__(self, runs: RunLedger) -> None:
        self._runs = runs

    def of(self, run_id: str) -> list[CheckResult]:
        """Return the checks of a run, by round and position."""
        query = select(CheckResult).where(CheckResult.run_id == run_id)
        query = query.order_by(col(CheckResult.round), col(CheckResult.position))
        with self._runs.stores.owner_of(run_id).reading() as session:
            return list(session.exec(query).all())

    def last_round(self, run_id: str) -> list[CheckResult]:
        """Return the checks of the last round in which one began, by position."""
        found = self.of(run_id)
        return [one for one in found if one.round == found[-1].round]

    def begin(
        self,
        run: Run,
        check: Check,
        position: int,
        *,
        sha: str,
        now: datetime,
    ) -> bool:
        """Add a check that is about to begin; return False if its run is not in that round."""
        with self._runs.stores.owner_of(run.id).transaction() as tx:
            if not self._write(tx, run, {"head_sha": sha, "hold": None}):
                return False
            tx.add(
                CheckResult(
                    run_id=run.id,
                    round=run.check_round,
                    position=position,
                    name=check.name,
                    required=check.required,
                    status=CheckStatus.RUNNING,
                    sha=sha,
                    started_at=now,
                )
            )
            sentence = f"check “{check.name}” began at {sha[:7]}"
            data = {"check": check.name, "round": run.check_round, "commit": sha}
            self._runs.append_event(tx, run.id, now, "check_started", sentence, data)
            tx.publish(RunChanged(run.id, run.project_id))
        return True

    def finish(
        self,
        run: Run,
        row: CheckResult,
        end: CheckEnd,
        *,
        now: datetime,
        log: tuple[int | None, int | None] = (None, None),
        changed_files: Sequence[str] = (),
        has_moved: bool = False,
    ) -> bool:
        """End a check, once; return False if it had ended. `has_moved`: it moved the branch."""
        files = names_for_people(changed_files)
        with self._runs.stores.owner_of(run.id).transaction() as tx:
            ended = tx.scalars(
                update(CheckResult)
                .where(
                    col(CheckResult.run_id) == row.run_id,
                    col(CheckResult.round) == row.round,
                    col(CheckResult.position) == row.position,
                    col(CheckResult.status) == CheckStatus.RUNNING,
                )
                .values(
                    status=end.status,
                    because=end.because or None,
                    exit_code=end.exit_code,
                    log_from=log[0],
                    log_to=log[1],
                    changed_files=files,
                    ended_at=now,
                )
                .returning(col(CheckResult.run_id))
            ).one_or_none()
            if ended is None:
                return False
            if end.cause is not None:
                # kept with the run: what is decided from it must be the same after a crash
                self._write(tx, run, {"checks": {**(run.checks or {}), BROKEN_BY: str(end.cause)}})
            self._append_end(tx, run, CheckOutcome(row.name, row.required, end), row, now)
            if files or has_moved:
                sentence = _deeds(row.name, files, len(changed_files), has_moved)
                data = {"check": row.name, "changed_files": files[:100]}
                self._runs.append_event(tx, run.id, now, "note", sentence, data)
            tx.publish(RunChanged(run.id, run.project_id))
        return True

    def _append_end(
        self, tx: Transaction, run: Run, outcome: CheckOutcome, row: CheckResult, now: datetime
    ) -> None:
        data: dict[str, Any] = {
            "check": row.name,
            "round": row.round,
            "status": str(outcome.end.status),
            "exit_code": outcome.end.exit_code,
            "seconds": max(0.0, (now - row.started_at).total_seconds()),
        }
        self._runs.append_event(tx, run.id, now, "check_ended", outcome.sentence, data)

    def keep(self, run: Run, kept: Mapping[str, Any]) -> bool:
        """Record a step's processes before it begins; return False if the run has moved on."""
        with self._runs.stores.owner_of(run.id).transaction() as tx:
            return self._write(tx, run, {"supervisor": dict(kept), "hold": None})

    def _write(self, tx: Transaction, run: Run, columns: Mapping[str, Any]) -> bool:
        """Write a run's columns if it is in the turn and round that were read, and still ours."""
        is_as_read = (
            col(Run.status).in_([Status.RUNNING, Status.CHECKING]),
            col(Run.status) == run.status,
            col(Run.turn) == run.turn,
            col(Run.check_round) == run.check_round,
            col(Run.server).is_not_distinct_from(run.server),
        )
        query = update(Run).where(col(Run.id) == run.id, *is_as_read).values(**columns)
        return tx.scalars(query.returning(col(Run.id))).one_or_none() is not None


def _deeds(check: str, files: Sequence[str], count: int, has_moved: bool) -> str:
    deeds = [f"changed {_named(files, count)}"] if files else []
    deeds += ["moved the branch"] if has_moved else []
    return f"check “{check}” {' and '.join(deeds)}; not delivered"


def _named(files: Sequence[str], count: int) -> str:
    names = ", ".join(files[:3])
    return names if count <= 3 else f"{names} and {count - 3:,} more"
