"""The services of batches and of bulk orders for many runs."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.quota import Counted
from app.records.batches.batch_ledger import BatchLedger
from app.records.batches.batch_queue import BatchQueue
from app.records.batches.bulk_ledger import BulkLedger
from app.services.batches.batches import BatchService
from app.services.batches.bulk import BulkActions, BulkService
from app.services.batches.bulk_orders import BulkKeys
from app.services.batches.queue import BatchEnds, BatchLine
from app.services.context import Context
from app.services.kept.build import KeptServices
from app.services.lifecycle.build import LifecycleServices
from app.services.limits.build import LimitServices
from app.services.limits.quota import Places
from app.services.runs.build import RunServices
from app.services.system.build import SystemServices


@dataclass(frozen=True)
class BatchServices:
    """The services of batches and bulk orders."""

    batches: BatchService
    batch_line: BatchLine
    bulk: BulkService


def build(
    context: Context,
    system: SystemServices,
    limits: LimitServices,
    runs: RunServices,
    lifecycle: LifecycleServices,
    kept: KeptServices,
) -> BatchServices:
    """Build the services of batches; bulk orders hear of runs that make room."""
    ledger, settings = BatchLedger(context.stores), context.settings
    queue = BatchQueue(ledger)
    ends = BatchEnds(context, queue, lifecycle.stopper, system.quarantine)
    places = Places(limits.batch_quota, Counted.BATCHES, context.stores, limits.counters)
    bulk_ledger = BulkLedger(context.stores)
    keys = BulkKeys(bulk_ledger, settings.key_ttl_seconds)
    actions = BulkActions(context.ledgers.runs, lifecycle.stopper, kept.retry, runs.accept)
    bulk = BulkService(context, bulk_ledger, keys, actions, system.quarantine)
    context.feed.subscribe(bulk.on_change)
    return BatchServices(
        batches=BatchService(context, ledger, runs.prechecks, runs.accept, places, ends),
        batch_line=BatchLine(context, ledger, queue, ends, system.quarantine),
        bulk=bulk,
    )
