"""The prompts of a run's turns, in the store of the run, and when an issue's last run began."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import col, delete, select

from app.domain.agents.prompts import Prompt
from app.records.stores.routing import Stores
from app.records.tables import Run, RunPrompt


class PromptLedger:
    """Keeps what each turn's agent was given."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def keep(self, run_id: str, n: int, prompt: Prompt, now: datetime) -> None:
        """Keep the prompt of turn `n`, in place of one that never reached an agent."""
        row = RunPrompt(
            run_id=run_id,
            n=n,
            text=prompt.text,
            template=prompt.template and prompt.template.name,
            version=prompt.template and prompt.template.version,
            at=now,
        )
        with self._stores.owner_of(run_id).transaction() as tx:
            tx.exec(delete(RunPrompt).where(col(RunPrompt.run_id) == run_id, col(RunPrompt.n) == n))
            tx.add(row)

    def of_run(self, run_id: str) -> list[RunPrompt]:
        """Return the prompts of a run's turns, the first one first."""
        query = select(RunPrompt).where(col(RunPrompt.run_id) == run_id).order_by(col(RunPrompt.n))
        with self._stores.owner_of(run_id).reading() as session:
            return list(session.exec(query).all())


def last_start_of_issue(
    stores: Stores, project_id: str, issue: int, *, besides: str | None
) -> datetime | None:
    """Return when the last run of an issue whose agent started was taken from the queue.

    `besides` is a run that does not count. None if there was none.
    """
    query = (
        select(Run)
        .where(
            col(Run.issue) == issue,
            col(Run.project_id) == project_id,
            col(Run.started_at).is_not(None),
        )
        .order_by(col(Run.created_at).desc(), col(Run.id).desc())
        .limit(2)
    )
    runs = [run for run in stores.everywhere(query) if run.id != besides]
    last = max(runs, key=lambda run: (run.created_at, run.id), default=None)
    # a comment that came after this may not have been in its prompt
    return last and (last.taken_at or last.started_at)
