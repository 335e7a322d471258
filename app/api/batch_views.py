"""Batches as the API tells them."""

from __future__ import annotations

from collections.abc import Mapping

from app.api.schemas import BatchItemOut, BatchOut, BatchReport
from app.api.views import run_out
from app.domain.batches import BatchStatus, label_of_batch, tally
from app.services.plane import Services
from app.services.rows import Batch, Run

SAME_NAME = (
    *("id", "project_id", "run_count", "because", "parent_run_id", "created_by"),
    *("created_at", "sealed_at", "ended_at", "correlation_id"),
)


def batch_out(services: Services, batch: Batch, counts: Mapping[str, int]) -> BatchOut:
    """A batch with its runs counted by status."""
    return BatchOut(
        project_name=services.project_names.one(batch.project_id),
        status=BatchStatus(batch.status),
        label=label_of_batch(BatchStatus(batch.status), counts),
        counts=dict(counts),
        received=sum(counts.values()),
        **{name: getattr(batch, name) for name in SAME_NAME},
    )


def batch_report(services: Services, batch: Batch) -> BatchReport:
    """A batch with what it came to."""
    ledger = services.batches.ledger
    told = batch_out(services, batch, ledger.counts([batch.id])[batch.id])
    sums = ledger.sums(batch.id)
    return BatchReport(
        **told.model_dump(),
        missing=ledger.missing(batch) if batch.status == BatchStatus.PENDING else [],
        cost_usd=sums.cost_usd,
        **tally(told.counts, no_change=sums.no_change).__dict__,
    )


def item_out(services: Services, index: int, run: Run) -> BatchItemOut:
    """An item with its run."""
    name = services.project_names.one(run.project_id)
    return BatchItemOut(index=index, run=run_out(run, name))
