"""The wiring of all services over the shared parts of the control plane."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from app import __version__
from app.adapters.engine.processes import ProcessTable
from app.adapters.git.own_repositories import make_demo_repository, read_commit
from app.config import Settings
from app.control_plane import wiring_lifecycle
from app.control_plane.context import Adapters, find_place, own_places, slip
from app.control_plane.doctor_checks import make_doctor
from app.control_plane.scheduler import Scheduler
from app.control_plane.wiring_batches import (
    make_batch_desk,
    make_batch_line,
    make_bulk_desk,
    make_crowds,
    make_notification_desk,
    make_retention,
)
from app.domain.idempotency import KeyTerms
from app.domain.quota import Counted
from app.folder_locks import LINK_LOCK, holder_of
from app.records.database.database import Database
from app.records.feed import Feed, SweepWanted
from app.records.people.account_ledger import AccountLedger
from app.records.tables import Run
from app.services.auto.afk import AfkService
from app.services.auto.loop import AutoLoop
from app.services.auto.sweep import Sweep
from app.services.batches.queue import BatchLine
from app.services.concurrency import Locks, Workers
from app.services.container import Identity, Services, SettingValue
from app.services.context import Ledgers, Outside
from app.services.kept.parked import Holdings, ParkedService
from app.services.kept.resume import ResumeService
from app.services.kept.retry import RetryService
from app.services.kept.salvage import Salvage
from app.services.lifecycle.deliver import Deliverer
from app.services.lifecycle.launch import Launcher
from app.services.lifecycle.launch_spec import LaunchTerms
from app.services.lifecycle.stall_monitor import Clocks, StallMonitor
from app.services.limits.counters import CounterService
from app.services.limits.quota import Places, Quota
from app.services.limits.usage_limits import UsageLimits
from app.services.projects.alerts import Alerts
from app.services.projects.browser_rule import BrowserRule
from app.services.projects.demo import DemoService
from app.services.projects.overview import Overview, ProjectViews, shown_for
from app.services.projects.projects import ProjectService
from app.services.projects.sandbox_settings import SandboxSettings
from app.services.projects.statistics import StatisticsService
from app.services.retention.logs import LogRetention
from app.services.runs.accept import AcceptService
from app.services.runs.agent_reports import Reporter
from app.services.runs.idempotency import Keys
from app.services.runs.planned import PlannedRunService
from app.services.runs.prechecks import Prechecks
from app.services.runs.queries import RunListing
from app.services.system.accounts import Accounts
from app.services.system.audit import AuditService
from app.services.system.disk_room import DiskRoom
from app.services.system.origin_watch import OriginWatch
from app.services.system.ownership import Leases, Ownership
from app.services.system.quarantine import Quarantine
from app.services.system.store_health import HealthService, StoreWatch
from app.services.tracker.changes import ChangeService
from app.services.tracker.issues import IssueService


def make_launcher(
    settings: Settings,
    ledgers: Ledgers,
    outside: Outside,
    limits: UsageLimits,
    locks: Locks,
    clock: Callable[[], datetime],
    origins: OriginWatch,
) -> Launcher:
    """Build the launcher with the terms of every launch on this server."""
    terms = LaunchTerms(
        grace_seconds=settings.kill_grace_seconds,
        launch_seconds=settings.launch_seconds,
        log_cap_bytes=settings.log_cap_bytes,
    )
    return Launcher(ledgers, outside, limits, terms, locks, clock, origins)


ROOT = Path(__file__).parent.parent.parent
ASSETS = ROOT / "assets"


@dataclass(frozen=True)
class Ground:
    """The shared parts that services are built from."""

    settings: Settings
    clock: Callable[[], datetime]
    adapters: Adapters
    feed: Feed
    database: Database
    workers: Workers
    scheduler: Scheduler
    ledgers: Ledgers
    locks: Locks
    leases: Leases
    ownership: Ownership
    counting: CounterService
    quarantine: Quarantine
    store_watch: StoreWatch
    disk: DiskRoom


class Assembly:
    """Builds every service once. `again(run_id)` checks a run once more."""

    def __init__(self, ground: Ground, again: Callable[[str], None]) -> None:
        self._ground = ground
        self._settings = ground.settings
        self._ledgers = ground.ledgers
        self._clock = ground.clock
        self._again = again
        self._outside = ground.adapters.outside(ground.ledgers)
        self._quota = Quota(self._settings.run_quota, self._settings.run_window)
        self._issues = IssueService(self._ledgers, self._outside)
        self._notifications = make_notification_desk(ground)
        self._limits = UsageLimits(self._ledgers.runs, self._outside.agents)
        self.outbox = wiring_lifecycle.make_consequences(ground, self._limits)
        self.origins = OriginWatch(
            self._ledgers.projects, self._outside, ground.workers, ground.leases, self._clock
        )
        self._checks = Prechecks(self._ledgers.projects, self._outside, self._limits, self.origins)
        self._identity = self._make_identity()
        self._launcher = self._make_launcher()
        publish, workers = ground.feed.publish, ground.workers
        look_soon = partial(workers.submit, again)
        self.reporter = Reporter(
            self._ledgers.runs, self._outside, workers, publish, self._clock, look_soon
        )
        self.reaper = wiring_lifecycle.make_reaper(
            self._ledgers,
            self._outside,
            self._launcher,
            self.reporter,
            self._make_vigil(),
            locks=ground.locks,
            workers=ground.workers,
            ownership=ground.ownership,
            clock=self._clock,
            again=again,
            outbox=self.outbox,
            quarantine=ground.quarantine,
        )
        self.active_run_counts = make_crowds(ground)
        self.recovery = wiring_lifecycle.make_recovery(ground, self.reaper, self._outside.engine)

    def services(self, given: dict[str, object]) -> Services:
        """Build all services; `given` are the command-line values."""
        ground, ledgers, outside = self._ground, self._ledgers, self._outside
        keys = self._make_keys()
        # trigger, loop and sweep need each other: accepting requests a sweep, which accepts
        trigger = self._make_trigger_desk(keys, lambda run: sweep.expect(run))
        loop = self._make_loop(trigger)
        retry = RetryService(ledgers, outside, self._checks, trigger, ground.locks)
        resume = self._make_resume_desk(retry)
        stopper = wiring_lifecycle.make_stopper(ground, self._launcher, self._again)
        line = make_batch_line(ground, stopper)
        sweep = self._make_sweep(loop, resume, line)
        desk, retention = self._make_project_desk(sweep), make_retention(ground)
        return Services(
            **self._floor(),
            projects=desk,
            issues=self._issues,
            changes=ChangeService(ledgers, outside, ground.locks, sweep.request),
            **self._views(desk, retention),
            figures=StatisticsService(ledgers.projects, ledgers.runs.stores),
            demo=self._make_demo_desk(desk),
            trigger=trigger,
            batches=make_batch_desk(ground, self._checks, trigger, sweep, line),
            bulk=make_bulk_desk(ground, stopper, retry, trigger, self._identity.as_dict()),
            retry=retry,
            resume=resume,
            limits=self._limits,
            afk=AfkService(ledgers, self._issues, trigger, loop, self.outbox, sweep.request),
            loop=loop,
            keys=keys,
            parked=self._make_parked_desk(sweep),
            salvage=self._make_salvage(sweep, keys),
            planned=PlannedRunService(ledgers.runs, sweep.expect),
            stopper=stopper,
            reporter=self.reporter,
            retention=retention,
            listing=RunListing(ledgers.runs, self._quota, outside),
            accounts=self._make_accounts(),
            browser_rule=self._make_browser_rule(),
            notifications=self._notifications,
            sweep=sweep,
            engine=outside.engine,
            settings=tuple(SettingValue(*one) for one in self._settings.told(given)),
        )

    def _views(self, desk: ProjectService, retention: LogRetention) -> dict[str, Any]:
        ground, told = self._ground, self._notifications
        overview = self._make_overview(desk)
        alerts = Alerts(told, overview, ground.disk, self._clock, ground.feed.publish)
        agents = self._outside.agents
        doctor = make_doctor(ground, agents, told.problems, retention, alerts)
        return {"overview": overview, "alerts": alerts, "doctor": doctor}

    def _floor(self) -> dict[str, Any]:
        runs, counting = self._ledgers.runs, self._ground.counting
        return {
            "limits_mode": lambda: counting.check_once(self._clock()),
            "health": HealthService(self._clock, is_split=runs.stores.runs is not None),
            "identity": self._identity,
            "secrets": self._ground.adapters.secrets,
            "clock": self._clock,
            "feed": self._ground.feed,
            "quarantine": self._ground.quarantine,
            "store_watch": self._ground.store_watch,
            "stores": runs.stores,
            "database": self._ground.database,
            "disk": self._ground.disk,
            "runs": runs,
            "project_rows": self._ledgers.projects,
            "audit": self._make_audit_desk(),
        }

    # --- single services -----------------------------------------------------------------------

    def _make_vigil(self) -> StallMonitor:
        runs, engine, workers = self._ledgers.runs, self._outside.engine, self._ground.workers
        call_at = self._ground.scheduler.call_at
        clocks = Clocks(self._clock, slip, lambda name, at, duty: call_at(at, duty, name=name))
        return StallMonitor(runs, engine, self.reporter, workers, clocks, self._again)

    def _make_identity(self) -> Identity:
        return Identity(
            environment=self._settings.environment,
            version=__version__,
            commit=read_commit(ROOT / ".git"),
            database=self._ground.database.kind,
            host=socket.gethostname(),
        )

    def _make_keys(self) -> Keys:
        terms = KeyTerms(self._settings.key_hold_seconds, self._settings.key_ttl_seconds)
        return Keys(self._ledgers.runs, terms)

    def _make_trigger_desk(self, keys: Keys, on_accepted: Callable[[Run], None]) -> AcceptService:
        stores, counting = self._ledgers.runs.stores, self._ground.counting
        places = Places(self._quota, Counted.RUNS, stores, counting)
        runs, has_room = self._ledgers.runs, self.active_run_counts.has_room
        return AcceptService(runs, self._checks, places, keys, on_accepted, has_room)

    def _make_loop(self, trigger: AcceptService) -> AutoLoop:
        return AutoLoop(
            self._ledgers,
            self._outside,
            self._issues,
            self._limits,
            trigger,
            self._ground.leases,
            self._settings.max_live_runs,
            self._identity.as_dict(),
            self._ground.quarantine,
            self._ground.disk.hold,
        )

    def _make_resume_desk(self, retry: RetryService) -> ResumeService:
        ground, told = self._ground, self._identity.as_dict()
        desks = (self._limits, retry, self.reporter, ground.leases)
        return ResumeService(self._ledgers, self._outside, *desks, told, ground.quarantine)

    def _make_launcher(self) -> Launcher:
        settings, locks = self._settings, self._ground.locks
        outside, limits = self._outside, self._limits
        ledgers, clock = self._ledgers, self._clock
        return make_launcher(settings, ledgers, outside, limits, locks, clock, self.origins)

    def _make_sweep(self, loop: AutoLoop, resume: ResumeService, line: BatchLine) -> Sweep:
        sweep = Sweep(
            self._ledgers,
            self.reaper,
            self._launcher,
            self._ground.workers,
            self._ground.ownership,
            self._limits,
            self._clock,
            self._settings.max_live_runs,
            partial(self._go_on, resume),
            loop.fill_once,
            self._ground.scheduler.call_at,
            line,
            self._ground.quarantine,
            self._call_sweeper,
            self._ground.disk.hold,
        )
        self.origins.when_back(sweep.request)
        return sweep

    def _call_sweeper(self, whole: bool) -> None:
        if not self._ground.leases.may_sweep(self._clock()):
            self._ground.feed.publish([SweepWanted(whole)])

    def _go_on(self, resume: ResumeService, now: datetime) -> int:
        # effects of ended runs that still wait decide what may start
        self.outbox.catch_up()
        return resume.continue_once(now)

    def _make_project_desk(self, sweep: Sweep) -> ProjectService:
        ground = self._ground
        defaults = {
            "budget_seconds": self._settings.budget_seconds,
            "max_concurrency": self._settings.repo_concurrency,
        }
        desks = self._ledgers, self._outside, ground.workers, ground.feed
        return ProjectService(*desks, sweep.request, defaults, self._make_surroundings())

    def _make_surroundings(self) -> SandboxSettings:
        places, default = own_places(self._settings), self._settings.sandbox
        private = [*places.folders, *places.databases]
        return SandboxSettings(self._ledgers.projects, self._outside.sandbox, default, private)

    def _make_overview(self, desk: ProjectService) -> Overview:
        ground, projects = self._ground, self._ledgers.projects
        runs, stuck = self._ledgers.runs, ground.quarantine
        views = ProjectViews(runs, self._issues, desk, self._limits, stuck)
        lifetime = shown_for(runs.stores, is_alone=ground.leases.is_alone)
        return Overview(projects, views, ground.feed, self._clock, lifetime=lifetime)

    def _make_demo_desk(self, desk: ProjectService) -> DemoService:
        git, files = self._ground.adapters.git, ASSETS / "demo" / "repository"
        return DemoService(
            self._ledgers.projects,
            desk,
            self._issues,
            lambda folder: make_demo_repository(git, files, folder),
            self._settings.data_root / "demo",
            ASSETS / "demo" / "agent.py",
        )

    def _make_parked_desk(self, sweep: Sweep) -> ParkedService:
        ground = self._ground
        holdings = Holdings(self._outside, ground.workers, self._clock, ground.feed.publish)
        return ParkedService(self._ledgers, self._outside, holdings, ground.locks, sweep.request)

    def _make_salvage(self, sweep: Sweep, keys: Keys) -> Salvage:
        outside, locks = self._outside, self._ground.locks
        deliverer = Deliverer(self._ledgers.runs, outside, self._clock)
        return Salvage(self._ledgers, outside, deliverer, keys, locks, sweep.request)

    def _make_audit_desk(self) -> AuditService:
        stores, days = self._ledgers.runs.stores, self._settings.audit_days
        return AuditService(stores, self.outbox.catch_up, keep_days=days)

    def _make_browser_rule(self) -> BrowserRule:
        lock = self._settings.data_root / LINK_LOCK
        table = ProcessTable(find_place(self._settings).instance)
        asking = partial(holder_of, lock)
        begun = self._ledgers.runs.begun_runs
        return BrowserRule(self._ledgers.projects, begun, asking, table.is_of_a_run)

    def _make_accounts(self) -> Accounts:
        ledger = AccountLedger(self._ledgers.runs.stores)
        accounts = Accounts(ledger, entropy=secrets.token_bytes, data_dir=self._settings.data_root)
        self._ground.adapters.secrets.add(accounts.secrets)
        return accounts
