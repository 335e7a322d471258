"""The wiring of batches, bulk orders, counters, notifications and retention."""

from __future__ import annotations

import secrets
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import tzlocal

from app.adapters.engine.records import LocalRunFolders
from app.config import Settings
from app.control_plane.context import pick_counters, pick_sets
from app.domain.idempotency import KeyTerms
from app.domain.quiet_hours import Timetable, parse_hours, parse_time
from app.domain.quota import Counted
from app.records.batches.batch_ledger import BatchLedger
from app.records.batches.batch_queue import BatchQueue
from app.records.batches.bulk_ledger import BulkLedger
from app.records.feed import Feed
from app.records.people.notification_ledger import NoticeLedger
from app.records.runs.run_ledger import RunLedger
from app.records.runs.selections import EndedRuns, OpenRuns
from app.server.startup import address_of
from app.services.auto.sweep import Sweep
from app.services.batches.batches import BatchService
from app.services.batches.bulk import BulkActions, BulkService
from app.services.batches.bulk_orders import BulkKeys
from app.services.batches.filling import RefusedItems
from app.services.batches.queue import BatchEnds, BatchLine
from app.services.concurrency import BoundedQueue
from app.services.kept.parked import Holdings
from app.services.kept.retry import RetryService
from app.services.limits.active_runs import ActiveRunCounts
from app.services.limits.counters import CounterService, charged_batches, charged_runs
from app.services.limits.quota import BatchQuota, Places
from app.services.notifications.compose import Digests, NoticeRules, Notices, Receiver
from app.services.notifications.desk import Arrangement, NotificationService
from app.services.notifications.sender import NotificationSender
from app.services.retention.empty_branches import EmptyBranches
from app.services.retention.logs import LogRetention
from app.services.retention.policy import Terms
from app.services.retention.working_copies import CopyRetention
from app.services.runs.accept import AcceptService
from app.services.runs.prechecks import Prechecks
from app.services.runs.stop import Stopper

if TYPE_CHECKING:
    from app.control_plane.wiring import Ground


def make_counting(settings: Settings, runs: RunLedger, feed: Feed) -> CounterService:
    """Build the counting of each person's runs and batches in their quota windows."""
    tables = {
        Counted.RUNS: charged_runs(runs, settings.run_window),
        Counted.BATCHES: charged_batches(BatchLedger(runs.stores), settings.batch_window),
    }
    return CounterService(pick_counters(settings), tables, feed.publish)


def make_crowds(ground: Ground) -> ActiveRunCounts:
    """Build the sets of each repository's active runs."""
    runs = ground.ledgers.runs
    sets, open_runs = pick_sets(ground.settings), OpenRuns(runs.stores)
    active_run_counts = ActiveRunCounts(sets, runs, open_runs, ground.workers.submit)
    active_run_counts.listen(ground.feed)
    return active_run_counts


def make_batch_line(ground: Ground, stopper: Stopper) -> BatchLine:
    """Build the queue of waiting batch items."""
    ledgers, quarantine = ground.ledgers, ground.quarantine
    batches = BatchLedger(ledgers.runs.stores)
    queue = BatchQueue(batches)
    ends = BatchEnds(ledgers.runs, queue, stopper, ground.workers, quarantine, ground.clock)
    return BatchLine(ledgers, batches, queue, ends, ground.settings.max_live_runs, quarantine)


def make_batch_desk(
    ground: Ground, checks: Prechecks, trigger: AcceptService, sweep: Sweep, line: BatchLine
) -> BatchService:
    """Build the service that creates batches and takes their items."""
    ledgers, settings = ground.ledgers, ground.settings
    ledger = BatchLedger(ledgers.runs.stores)
    most = settings.batch_quota
    quota = BatchQuota(ledger, most, settings.batch_window)
    places = Places(quota, Counted.BATCHES, ledger.stores, ground.counting)
    refused = RefusedItems(ledgers.runs, ledgers.projects)
    terms = KeyTerms(settings.key_hold_seconds, settings.key_ttl_seconds)
    hearers = (sweep.request_queue, line.ends.request)
    return BatchService(ledger, checks, trigger, places, most, refused, terms, *hearers)


def make_bulk_desk(
    ground: Ground,
    stopper: Stopper,
    retry: RetryService,
    trigger: AcceptService,
    provenance: dict[str, str],
) -> BulkService:
    """Build the service for bulk orders, subscribed to runs that make room."""
    runs = ground.ledgers.runs
    hands = BulkActions(runs, stopper, retry, trigger)
    ledger = BulkLedger(runs.stores)
    keys = BulkKeys(ledger, ground.settings.key_ttl_seconds)
    duties = (ground.locks, ground.workers, ground.clock)
    desk = BulkService(ledger, hands, *duties, provenance, ground.quarantine, keys)
    ground.feed.subscribe(desk.on_change)
    return desk


AT_ONCE = 8  # workers that may wait for receivers


def make_notification_desk(ground: Ground) -> NotificationService:
    """Build the service, with a database witness and a sender if there are receivers."""
    settings, clock, notifier = ground.settings, ground.clock, ground.adapters.notifier
    stores = ground.ledgers.runs.stores
    zone = _zone(settings)
    rules, ledger = _rules(settings, zone), NoticeLedger(stores)
    notices = Notices(ledger, ground.ledgers.projects, rules, clock)
    sender = NotificationSender(
        ledger,
        Digests(ledger, EndedRuns(stores), notices, rules),
        notifier,
        rules,
        ground.leases,
        BoundedQueue(ground.workers, AT_ONCE),
        clock,
        lambda moment, duty: ground.scheduler.call_at(moment, duty, name="notifications"),
        chance=lambda: secrets.randbelow(1001) / 1000,
        quarantine=ground.quarantine,
        secrets=ground.adapters.secrets,
    )
    ground.quarantine.on_free(lambda key: _wake(ledger, key, clock()))
    if rules.receivers:
        for database in stores.all():
            database.witness = notices.record
        ground.feed.subscribe(sender.on_change)
    arrangement = Arrangement(
        kinds=settings.notify_kinds,
        quiet_hours=settings.quiet_hours or "",
        digest_at=settings.digest_at or "",
        zone=str(zone),
    )
    return NotificationService(ledger, notifier, rules, arrangement, ground.workers, sender.request)


def _wake(ledger: NoticeLedger, key: str, now: datetime) -> None:
    duty, _, id_ = key.partition(".")
    if duty == "notice":
        ledger.wake(id_, now)


def _rules(settings: Settings, zone: tzinfo) -> NoticeRules:
    return NoticeRules(
        receivers=tuple(Receiver(url.get_secret_value()) for url in settings.notify_urls),
        kinds=frozenset(settings.notify_kinds),
        timetable=Timetable(
            zone,
            parse_hours(settings.quiet_hours) if settings.quiet_hours else None,
            parse_time(settings.digest_at) if settings.digest_at else None,
        ),
        address=address_of(settings),
    )


def _zone(settings: Settings) -> tzinfo:
    return ZoneInfo(settings.notify_zone) if settings.notify_zone else tzlocal.get_localzone()


ROUND_SECONDS = 86400.0


def make_retention(ground: Ground) -> LogRetention:
    """Build the retention service; of several servers, only the one that sweeps removes."""
    settings, call_at = ground.settings, ground.scheduler.call_at
    terms = Terms(settings.keep_days, settings.keep_gb)
    duties = (terms, ground.workers, ground.clock, ground.leases.may_sweep)
    outside = ground.adapters.outside(ground.ledgers)
    copies = CopyRetention(
        ground.ledgers,
        outside,
        ground.locks,
        *duties,
        lambda moment, duty: call_at(moment, duty, name="copies"),
    )
    branches = EmptyBranches(
        ground.ledgers,
        outside,
        Holdings(outside, ground.workers, ground.clock, ground.feed.publish),
        ground.locks,
        ground.ownership.here,
        *duties[1:],
        lambda moment, duty: call_at(moment, duty, name="branches"),
    )
    return LogRetention(
        ground.ledgers.runs,
        LocalRunFolders(settings.runs_root / "records"),
        copies,
        branches,
        *duties,
        lambda moment, duty: call_at(moment, duty, name="retention"),
    )
