"""Delivering a run's commits: push, then open the change request; safe to repeat."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from app.records.run_ledger import RunLedger
from app.records.tables import Project, Run
from app.services.floor import Outside
from app.services.ports import (
    ChangeOrder,
    Delivery,
    ForgeSilent,
    OriginProblem,
)
from app.services.prechecks import repository_of

log = logging.getLogger(__name__)
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=10)


class Deliverer:
    """Pushes and opens change requests, with a growing pause while the far side is silent."""

    def __init__(
        self,
        runs: RunLedger,
        outside: Outside,
        clock: Callable[[], datetime],
    ) -> None:
        self._runs = runs
        self._mirrors = outside.mirrors
        self._forge_of = outside.forge_of
        self._clock = clock
        self._pauses: dict[str, tuple[datetime, timedelta]] = {}

    def deliver(self, run: Run, project: Project) -> Delivery | str | None:
        """The delivery; a sentence where it was refused for good; None to try again later."""
        due, _ = self._pauses.get(run.id, (self._clock(), FIRST_PAUSE))
        if self._clock() < due:
            return None
        try:
            outcome = self._push_and_open(run, project)
        except (OriginProblem, ForgeSilent) as problem:
            if isinstance(problem, OriginProblem) and problem.for_good:
                outcome = problem.sentence
            else:
                self._wait(run, str(problem) or "the tracker did not answer")
                return None
        self._pauses.pop(run.id, None)
        return outcome

    def _push_and_open(self, run: Run, project: Project) -> Delivery | str:
        repo = repository_of(project)
        tip = self._mirrors.tip(repo, run.work_branch)
        if tip is None or run.base_sha is None:
            return f"the branch {run.work_branch} is gone from the mirror"
        pushed = self._mirrors.push(repo, run.work_branch)
        if not pushed.accepted:
            return f"push refused: {pushed.because}"
        closing = f"\n\nCloses #{run.issue}" if run.issue else ""
        order = ChangeOrder(
            run_id=run.id,
            title=run.title,
            body=f"Made by run {run.id} with {run.agent}.{closing}",
            base=run.branch_name,
            branch=run.work_branch,
            base_sha=run.base_sha,
            head_sha=tip,
            stat=self._mirrors.stat(repo, run.base_sha, tip),
            closes=run.issue,
        )
        return self._forge_of(project).open_change(repo, order, now=self._clock())

    def _wait(self, run: Run, because: str) -> None:
        _, pause = self._pauses.get(run.id, (None, FIRST_PAUSE))
        self._pauses[run.id] = (self._clock() + pause, min(pause * 2, LONGEST_PAUSE))
        self._runs.note(run.id, run.project_id, hold=f"delivery waits: {because}")
