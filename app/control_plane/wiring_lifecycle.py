"""The wiring of what ends runs: reaper, deliveries, recovery, outbox, quarantine and stopper."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from app import __version__
from app.logs import correlated
from app.records.runs.quarantine_ledger import QuarantineLedger
from app.records.stores.outbox import CLEAR, LIMIT, STRIKE
from app.services.concurrency import Locks, Workers
from app.services.context import Ledgers, Outside
from app.services.lifecycle.deliver import Deliverer, Deliveries
from app.services.lifecycle.finalize import Finalizer
from app.services.lifecycle.launch import Launcher
from app.services.lifecycle.reap import Reaper
from app.services.lifecycle.recovery import Recovery
from app.services.lifecycle.stall_monitor import StallMonitor
from app.services.lifecycle.transitions import Transitions
from app.services.limits.usage_limits import UsageLimits
from app.services.ports import Engine
from app.services.runs.agent_reports import Reporter
from app.services.runs.stop import Stopper
from app.services.system.outbox import OutboxProcessor
from app.services.system.ownership import Ownership
from app.services.system.quarantine import Quarantine

if TYPE_CHECKING:
    from app.control_plane.wiring import Ground


def make_quarantine(ledgers: Ledgers, clock: Callable[[], datetime]) -> Quarantine:
    """Build the quarantine of rows that this version cannot advance."""
    return Quarantine(QuarantineLedger(ledgers.runs), __version__, clock)


def make_recovery(ground: Ground, reaper: Reaper, engine: Engine) -> Recovery:
    """Build the recovery, which takes over runs at a start."""
    clearings = ground.adapters.clearings
    return Recovery(ground.ledgers.runs, engine, reaper, clearings, ground.quarantine)


def make_consequences(ground: Ground, limits: UsageLimits) -> OutboxProcessor:
    """Build the outbox, which applies the effects of runs to the control store."""
    projects = ground.ledgers.projects
    return OutboxProcessor(
        ground.ledgers.runs,
        {
            STRIKE: lambda tx, run, data, _: projects.add_strike(
                tx, run.project_id, data["because"]
            ),
            CLEAR: lambda tx, run, _data, _: projects.clear_strikes(tx, run.project_id),
            LIMIT: limits.hold,
        },
        ground.quarantine,
    )


def make_reaper(
    ledgers: Ledgers,
    outside: Outside,
    launcher: Launcher,
    reporter: Reporter,
    stall_monitor: StallMonitor,
    *,
    locks: Locks,
    workers: Workers,
    ownership: Ownership,
    clock: Callable[[], datetime],
    again: Callable[[str], None],
    outbox: OutboxProcessor,
    quarantine: Quarantine,
) -> Reaper:
    """Build the reaper. `again(run_id)` checks a run once more when a worker is done with it."""
    runs, transitions = ledgers.runs, Transitions(ledgers, clock, outbox)
    deliverer = Deliverer(runs, outside, clock)
    return Reaper(
        ledgers,
        outside,
        launcher,
        transitions,
        Deliveries(ledgers, deliverer, transitions, locks, workers, again, quarantine),
        Finalizer(runs, outside, workers, clock, again),
        reporter,
        stall_monitor,
        locks,
        ownership,
        clock,
        correlated,
    )


def make_stopper(ground: Ground, launcher: Launcher, again: Callable[[str], None]) -> Stopper:
    """Build the service that stops runs on request. `again(run_id)` checks one once more."""
    workers = ground.workers
    return Stopper(
        ground.ledgers.runs,
        ground.locks,
        again=lambda run_id: workers.submit(again, run_id),
        kill_soon=lambda run_id: workers.submit(launcher.halt, run_id),
    )
