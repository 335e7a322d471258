"""Items of a batch that cannot be started: each a run that everybody sees, with its reason."""

from __future__ import annotations

from datetime import datetime

from app.domain import prompts
from app.domain.lifecycle import Signal
from app.domain.words import Cause, Delivers, Depth, Status, Trigger
from app.records.database import Transaction
from app.records.project_ledger import ProjectLedger
from app.records.run_ledger import RunLedger
from app.records.tables import Batch, Run
from app.services.submits import Asker, Order


class RefusedItems:
    """Writes them; whatever was ordered that no run could hold is left out."""

    def __init__(self, runs: RunLedger, projects: ProjectLedger) -> None:
        self._runs = runs
        self._projects = projects

    def knows(self, run_id: str) -> bool:
        """True where there is a run with this id."""
        return self._runs.find(run_id) is not None

    def insert(
        self,
        tx: Transaction,
        batch: Batch,
        order: Order | None,
        because: str,
        asker: Asker,
        now: datetime,
        cause: Cause = Cause.LAUNCH_FAILED,
    ) -> Run:
        """Add a run that was refused, and end it at once."""
        run = self._draft(batch, order, asker, now)
        self._runs.insert(tx, run, sentence="batch")
        columns = {"cause": cause, "because": because, "released_at": now}
        moved = self._runs.move(
            tx, run, Signal.REFUSED, now=now, kind="reaped", sentence=because, **columns
        )
        return moved or run

    def _draft(self, batch: Batch, order: Order | None, asker: Asker, now: datetime) -> Run:
        project = self._projects.find(batch.project_id)
        order = order or Order(batch.project_id, Depth.STANDARD, "auto")
        run_id = self._runs.stores.mint_run_id(now, beside=batch.id)
        brief = prompts.Brief("", order.depth, order.framework, order.delivers, order.task)
        return Run(
            id=run_id,
            project_id=batch.project_id,
            status=Status.QUEUED,
            trigger=Trigger.BATCH,
            title=prompts.title_of(brief) if order.issue is None else f"Issue #{order.issue}",
            depth_level=order.depth,
            target_framework=order.framework,
            branch_name=order.branch or (project.base_branch if project else ""),
            # no branch of an issue: it has claimed none
            work_branch=f"run/{run_id}",
            issue=order.issue,
            task=order.task,
            agent=order.agent or (project.agent if project else ""),
            model=order.model,
            delivers=Delivers(order.delivers),
            tags=list(order.tags),
            budget_seconds=project.budget_seconds if project else 0,
            body_hash=order.body_hash(),
            batch_id=batch.id,
            correlation_id=asker.correlation_id,
            created_by=asker.person_id,
            provenance=asker.provenance,
            created_at=now,
        )
