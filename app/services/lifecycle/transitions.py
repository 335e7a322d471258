"""Writing the result of a check: status, strikes and timeline events, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Unpack

from app.domain import rules
from app.domain.lifecycle import Signal, next_status
from app.domain.rules import Strike, Verdict
from app.domain.usage_limits import MAX_RESUMES
from app.domain.words import Cause, Status
from app.failpoints import failpoint
from app.records.database.database import Transaction
from app.records.people import usage_limit_ledger
from app.records.runs.check_ledger import last_begun
from app.records.runs.run_columns import RunColumns
from app.records.stores.outbox import CHECK_HOLD, CLEAR, LIMIT, STRIKE
from app.records.tables import Run
from app.services.context import Ledgers
from app.services.system.outbox import OutboxProcessor


@dataclass(frozen=True)
class Line:
    """A timeline event written together with a transition."""

    kind: str
    sentence: str
    at: datetime | None = None
    data: dict[str, Any] = field(default_factory=dict[str, Any])


class _Beaten(Exception):
    """Raised if the run was moved concurrently: nothing may be written."""


class Transitions:
    """Writes run transitions; a caller that loses a race writes nothing."""

    def __init__(
        self,
        ledgers: Ledgers,
        clock: Callable[[], datetime],
        outbox: OutboxProcessor,
    ) -> None:
        self._runs = ledgers.runs
        self._clock = clock
        self._outbox = outbox

    def write(
        self,
        run: Run,
        verdict: Verdict,
        line: Line,
        before: Sequence[Line] = (),
        **columns: Unpack[RunColumns],
    ) -> Run:
        """Move a run per the verdict, appending `before`, then `line`; return the latest run."""
        signal = verdict.signal
        if signal is None:
            return run
        effect, columns["hold"] = Strike.NONE, None
        if verdict.cause is not None:
            effect = _effect(run, signal, verdict.cause)
            columns["cause"] = verdict.cause
            columns["because"] = verdict.because
            columns["is_strike"] = effect is Strike.ADD
        failpoint("before_reap_commit")
        try:
            with self._runs.stores.owner_of(run.id).transaction() as tx:
                now = self._clock()
                for told in before:
                    self._runs.append_event(
                        tx, run.id, told.at or now, told.kind, told.sentence, told.data
                    )
                moved = self._runs.move(
                    tx,
                    run,
                    signal,
                    now=now,
                    kind=line.kind,
                    sentence=line.sentence,
                    data=line.data,
                    **columns,
                )
                if moved is None:
                    raise _Beaten
                self._follow(tx, moved, effect, verdict, now)
        except _Beaten:
            # the winner of the race has also written the effects
            return self._runs.find(run.id) or run
        failpoint("after_reap_commit")
        self._outbox.catch_up()
        return moved

    def _follow(
        self, tx: Transaction, ended: Run, effect: Strike, verdict: Verdict, now: datetime
    ) -> None:
        follow = self._outbox.follow
        if effect is Strike.ADD:
            follow(tx, ended, STRIKE, {"because": verdict.because}, now)
        elif effect is Strike.CLEAR:
            follow(tx, ended, CLEAR, {}, now)
        if verdict.broken is not None:
            name, because = verdict.broken
            data = {"name": name, "because": because, "checks": (ended.checks or {})["checks"]}
            if began := last_begun(tx, ended.id):
                data["began"] = began.isoformat()
            follow(tx, ended, CHECK_HOLD, data, now)
        if verdict.limit is not None:
            may_resume = ended.resumes < MAX_RESUMES
            usage_limit_ledger.mark_resumable(tx, ended, may_resume=may_resume)
            follow(tx, ended, LIMIT, verdict.limit.as_data(), now)


def _effect(run: Run, signal: Signal, cause: Cause) -> Strike:
    status = next_status(Status(run.status), signal)
    if status is None:
        return Strike.NONE
    return rules.strike_effect(status, cause, resolves_issue=run.issue is not None)
