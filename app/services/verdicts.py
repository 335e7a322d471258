"""Writing what a look at a run has found: the move, its count and its lines, at once or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.domain import rules
from app.domain.last_words import LimitReached
from app.domain.lifecycle import Signal, next_status
from app.domain.rules import Strike, Verdict
from app.domain.words import Cause, Status
from app.failpoints import reach
from app.records.database import Transaction
from app.records.tables import Run
from app.services.floor import Ledgers


@dataclass(frozen=True)
class Line:
    """A line of a run's timeline that is told with a move."""

    kind: str
    sentence: str
    at: datetime | None = None
    data: dict[str, Any] = field(default_factory=dict)


# told in the transaction that ends a run at its account's usage limit: the run, and when
OnLimited = Callable[[Transaction, Run, LimitReached, datetime], None]


class _Beaten(Exception):
    """Somebody moved the run first: nothing of this may be written."""


class Verdicts:
    """Moves runs; whoever loses a race writes nothing at all."""

    def __init__(
        self,
        ledgers: Ledgers,
        clock: Callable[[], datetime],
        on_limited: OnLimited | None = None,
    ) -> None:
        self._runs = ledgers.runs
        self._projects = ledgers.projects
        self._clock = clock
        self._on_limited = on_limited

    def write(
        self, run: Run, verdict: Verdict, line: Line, before: Sequence[Line] = (), **columns: Any
    ) -> Run:
        """Move a run as a verdict says, telling `before` and then `line`; the run as it is then."""
        signal = verdict.signal
        if signal is None:
            return run
        effect = Strike.NONE
        if verdict.cause is not None:
            effect = _effect(run, signal, verdict.cause)
            columns |= {
                "cause": verdict.cause,
                "because": verdict.because,
                "is_strike": effect is Strike.ADD,
            }
        reach("before_reap_commit")
        try:
            with self._runs.stores.owner_of(run.id).transaction() as tx:
                now = self._clock()
                for told in before:
                    self._runs.tell(tx, run.id, told.at or now, told.kind, told.sentence, told.data)
                words = {"kind": line.kind, "sentence": line.sentence, "data": line.data}
                moved = self._runs.move(tx, run, signal, now=now, hold=None, **words, **columns)
                if moved is None:
                    raise _Beaten
                self._count(tx, moved, effect, verdict.because)
                if verdict.limit is not None and self._on_limited is not None:
                    self._on_limited(tx, moved, verdict.limit, now)
        except _Beaten:
            # whoever moved it first has also done what follows from that
            return self._runs.find(run.id) or run
        reach("after_reap_commit")
        return moved

    def _count(self, tx: Transaction, ended: Run, effect: Strike, because: str) -> None:
        if effect is Strike.ADD:
            self._projects.add_strike(tx, ended.project_id, because)
        elif effect is Strike.CLEAR:
            self._projects.clear_strikes(tx, ended.project_id)


def _effect(run: Run, signal: Signal, cause: Cause) -> Strike:
    status = next_status(Status(run.status), signal)
    if status is None:
        return Strike.NONE
    return rules.strike_effect(status, cause, resolves_issue=run.issue is not None)
