"""Required checks that failed in the last round of a run, with what they wrote."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.agents.follow_ups import RedCheck
from app.domain.projects.check_rounds import read_plan
from app.records.runs.check_ledger import CheckLedger, outcome_of
from app.records.tables import CheckResult, Run
from app.services.context import Context

# the end of an output that is read to find its last lines
_READ_BYTES = 256 * 1024


class RedChecks:
    """Reads the results of checks for the agents that are to correct their cause."""

    def __init__(self, context: Context) -> None:
        self._results = CheckLedger(context.ledgers.runs)
        self._engine = context.adapters.engine

    def of(self, run: Run) -> list[RedCheck]:
        """Return the checks of a run's last round that failed; none if it has not been checked."""
        found = self._results.last_round(run.id)
        if not found:
            return []
        plan = read_plan(run.checks or {})
        return [
            RedCheck(
                one.name,
                plan.checks[one.position - 1].command,
                one.because or one.status.replace("_", " "),
                self._output(run, one),
            )
            for one in found
            if outcome_of(one).is_red
        ]

    def of_newest(self, runs: Iterable[Run]) -> list[RedCheck]:
        """Return those of the newest of these runs."""
        newest = max(runs, key=lambda one: (one.created_at, one.id), default=None)
        return [] if newest is None else self.of(newest)

    def _output(self, run: Run, row: CheckResult) -> str | None:
        """Return the end of a check's output, at most 256 KiB; None if it is not there any more."""
        if row.log_from is None or row.log_to is None:
            return None
        if row.log_from >= row.log_to:
            return ""
        begin = max(row.log_from, row.log_to - _READ_BYTES)
        piece = self._engine.log(run.id).read(begin, row.log_to - begin)
        return piece.content.decode("utf-8", "replace") if piece.content else None
