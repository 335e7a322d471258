"""Batches, put together: who makes and fills them, and the line their items wait in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.config import Settings
from app.control_plane.outside import pick_counters, pick_sets
from app.domain.keys import KeyTerms
from app.domain.quota_rules import Counted
from app.records.batch_ledger import BatchLedger
from app.records.batch_queue import BatchQueue
from app.records.bulk_ledger import BulkLedger
from app.records.feed import Feed
from app.records.open_runs import OpenRuns
from app.records.run_ledger import RunLedger
from app.services.batch_ends import BatchEnds
from app.services.batch_line import BatchLine
from app.services.batch_quota import BatchQuota
from app.services.batches import BatchDesk
from app.services.bulk import BulkDesk, Hands
from app.services.bulk_keys import BulkKeys
from app.services.counting import Counting, charged_batches, charged_runs
from app.services.crowds import Crowds
from app.services.prechecks import Prechecks
from app.services.quota import Places
from app.services.refused_items import RefusedItems
from app.services.retry import RetryDesk
from app.services.stopping import Stopper
from app.services.sweep import Sweep
from app.services.trigger import TriggerDesk

if TYPE_CHECKING:
    from app.control_plane.assembly import Ground


def make_counting(settings: Settings, runs: RunLedger, feed: Feed) -> Counting:
    """The windows of people, of runs and of batches."""
    tables = {
        Counted.RUNS: charged_runs(runs, settings.run_window),
        Counted.BATCHES: charged_batches(BatchLedger(runs.stores), settings.batch_window),
    }
    return Counting(pick_counters(settings), tables, feed.publish)


def make_crowds(ground: Ground) -> Crowds:
    """The sets of the repositories' active runs."""
    runs = ground.ledgers.runs
    sets, open_runs = pick_sets(ground.settings), OpenRuns(runs.stores)
    crowds = Crowds(sets, runs, open_runs, ground.workers.submit)
    crowds.listen(ground.feed)
    return crowds


def make_batch_line(ground: Ground, stopper: Stopper) -> BatchLine:
    """The line of the items that wait."""
    ledgers, quarantine = ground.ledgers, ground.quarantine
    batches = BatchLedger(ledgers.runs.stores)
    queue = BatchQueue(batches)
    ends = BatchEnds(ledgers.runs, queue, stopper, ground.workers, quarantine, ground.clock)
    return BatchLine(ledgers, batches, queue, ends, ground.settings.max_live_runs, quarantine)


def make_batch_desk(
    ground: Ground, checks: Prechecks, trigger: TriggerDesk, sweep: Sweep, line: BatchLine
) -> BatchDesk:
    """The desk that makes batches and takes their items."""
    ledgers, settings = ground.ledgers, ground.settings
    ledger = BatchLedger(ledgers.runs.stores)
    most = settings.batch_quota
    quota = BatchQuota(ledger, most, settings.batch_window)
    places = Places(quota, Counted.BATCHES, ledger.stores, ground.counting)
    refused = RefusedItems(ledgers.runs, ledgers.projects)
    terms = KeyTerms(settings.key_hold_seconds, settings.key_ttl_seconds)
    hearers = (sweep.request_queue, line.ends.request)
    return BatchDesk(ledger, checks, trigger, places, most, refused, terms, *hearers)


def make_bulk_desk(
    ground: Ground,
    stopper: Stopper,
    retry: RetryDesk,
    trigger: TriggerDesk,
    provenance: dict[str, str],
) -> BulkDesk:
    """The desk for many runs at once; it hears when a run has made room."""
    runs = ground.ledgers.runs
    hands = Hands(runs, stopper, retry, trigger)
    ledger = BulkLedger(runs.stores)
    keys = BulkKeys(ledger, ground.settings.key_ttl_seconds)
    duties = (ground.locks, ground.workers, ground.clock)
    desk = BulkDesk(ledger, hands, *duties, provenance, ground.quarantine, keys)
    ground.feed.subscribe(desk.hear)
    return desk
