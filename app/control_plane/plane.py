"""The one object that holds everything; it starts and ends in order."""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from app import __version__
from app.adapters.checkout import read_commit
from app.adapters.demo_repository import make_demo_repository
from app.adapters.file_locks import FileLocks
from app.config import Settings
from app.control_plane.beginnings import make_launcher
from app.control_plane.endings import make_reaper
from app.control_plane.metronome import Metronome
from app.control_plane.outside import Adapters, find_place, pick_adapters, pick_counters
from app.control_plane.premises import premises_of
from app.records.account_ledger import AccountLedger
from app.records.database import Database, DatabaseSilent
from app.records.feed import Feed, LogGrew
from app.records.lease_ledger import LeaseLedger
from app.records.migration import migrate
from app.records.project_ledger import ProjectLedger
from app.records.routing import Stores
from app.records.run_ledger import RunLedger
from app.records.tracker_ledger import TrackerLedger
from app.services.accounts import Accounts
from app.services.afk import AfkDesk
from app.services.changes import ChangeDesk
from app.services.counting import Counting
from app.services.delivery import Deliverer
from app.services.demo import DemoDesk
from app.services.doctor import Premises, examine
from app.services.floor import Ledgers, Outside
from app.services.holdings import Holdings
from app.services.issues import IssueDesk
from app.services.keys import Keys, Limits
from app.services.launcher import Launcher
from app.services.leases import RENEW_SECONDS, Leases
from app.services.listing import RunListing
from app.services.overview import Overview
from app.services.parked import ParkedDesk
from app.services.plane import Identity, Services, SettingValue
from app.services.prechecks import Prechecks
from app.services.projects import ProjectDesk
from app.services.quota import Places, Quota
from app.services.reaper import Reaper
from app.services.recovery import Recovery
from app.services.run_locks import Locks
from app.services.salvage import Salvage
from app.services.stopping import Stopper
from app.services.sweep import Sweep
from app.services.tenure import Tenure
from app.services.trigger import TriggerDesk
from app.services.workers import Workers

log = logging.getLogger(__name__)
ROOT = Path(__file__).parent.parent.parent
ASSETS = ROOT / "assets"
WORKERS = 16


def wall_clock() -> datetime:
    """The time now, UTC."""
    return datetime.now(UTC)


class ControlPlane:
    """A Runyard without its door: `start` brings it up, `stop` ends it; runs outlive both."""

    def __init__(
        self,
        settings: Settings,
        *,
        given: dict[str, object] | None = None,
        clock: Callable[[], datetime] = wall_clock,
        adapters: Adapters | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.adapters = adapters or pick_adapters(settings)
        self.feed = Feed()
        self.database = Database(settings.database, tell=self.feed.publish)
        # every live run may be pushing to a host that is silent, and the rest goes on
        self.workers = Workers(WORKERS + settings.max_live_runs)
        self.metronome = Metronome()
        stores = Stores(self.database, None, secrets.token_bytes)
        self.ledgers = Ledgers(RunLedger(stores), ProjectLedger(stores), TrackerLedger(stores))
        here = find_place(settings)
        # a database in the data folder itself is this server's alone: the folder is locked
        is_alone = settings.database_url is None
        self.locks = Locks(None if is_alone else FileLocks(settings.runs_root / "locks"))
        self.leases = Leases(LeaseLedger(stores), here.server, is_alone=is_alone)
        watch = self.adapters.engine.watch
        self.tenure = Tenure(self.ledgers.runs, here, self.leases, watch)
        counters, window = pick_counters(settings), settings.run_window
        self.counting = Counting(counters, self.ledgers.runs, window, self.feed.publish)
        self.services = self._build(given or {})

    def start(self) -> None:
        """Bring the database up to date, take over what lives, then begin to sweep."""
        self.migrate()
        self.services.accounts.operator(self.clock())
        self.leases.renew_once(self.clock())
        self.counting.check(self.clock())
        self.adapters.engine.listen(self._hear)
        self.workers.submit(self._begin)

    def migrate(self) -> None:
        """Bring the database to this program's schema."""
        migrate(self.database, backups=self.settings.data_root / "backups", now=self.clock())

    def stop(self) -> None:
        """End sweeping and watching; agents go on under their supervisors."""
        self.metronome.stop()
        self.adapters.engine.close()
        self.workers.close()
        self.workers.finish(5)
        with contextlib.suppress(DatabaseSilent):
            self.leases.give_back(self.clock())
        self.counting.close()
        self.database.close()

    def recover_once(self) -> int:
        """Adopt, end or undo every open run, and end processes that belong to none."""
        return self.recovery.once(self.clock())

    def _begin(self) -> None:
        if not self.leases.is_alone:
            self.metronome.repeat(lambda: self.leases.renew_once(self.clock()), RENEW_SECONDS)
        self.metronome.start()
        for duty in (self.recover_once, self.services.projects.resume_clones):
            try:
                duty()
            except Exception:
                log.exception("taking over was not finished; the sweep goes on with it")
        # may ask origins: nothing waits for it
        self.workers.submit(self.services.changes.finish_once, self.clock())
        for duty in (self.services.sweep.request, lambda: self.counting.look_once(self.clock())):
            self.metronome.repeat(duty, self.settings.sweep_seconds)
        self.services.sweep.request()

    def _hear(self, run_id: str, what: str) -> None:
        if what == "log":
            self.feed.publish([LogGrew(run_id)])
        else:
            self.workers.submit(self._look_again, run_id)

    def _look_again(self, run_id: str) -> None:
        # where another duty has the run just now, a whole tick comes back to it
        if not self.reaper.reap_once(run_id):
            self.services.sweep.request()
        else:
            self.services.sweep.request_fill()

    def _build(self, given: dict[str, object]) -> Services:
        ledgers, outside, clock = self.ledgers, self.adapters.outside(self.ledgers), self.clock
        launcher = make_launcher(self.settings, ledgers, outside, self.locks, clock)
        self.reaper = self._reaper(outside, launcher)
        most, clearings = self.settings.max_live_runs, self.adapters.clearings
        self.recovery = Recovery(ledgers.runs, outside.engine, self.reaper, clearings)
        issues = IssueDesk(ledgers, outside)
        quota = Quota(self.settings.run_quota, self.settings.run_window)
        limits = Limits(self.settings.key_hold_seconds, self.settings.key_ttl_seconds)
        keys, identity = Keys(ledgers.runs, limits), self._identity()
        trigger = self._trigger_desk(outside, quota, keys, lambda: sweep.request_fill())
        told, ask = identity.as_dict(), lambda: sweep.request()
        afk = AfkDesk(ledgers, outside, issues, trigger, self.leases, most, told, on_changed=ask)
        duties = (self.reaper, launcher, self.workers, self.tenure)
        sweep = Sweep(ledgers, *duties, clock, most, afk.fill_once, self.metronome.call_at)
        desk = self._project_desk(outside, sweep)
        return Services(
            identity=identity,
            clock=clock,
            feed=self.feed,
            stores=ledgers.runs.stores,
            database=self.database,
            runs=ledgers.runs,
            project_rows=ledgers.projects,
            projects=desk,
            issues=issues,
            changes=ChangeDesk(ledgers, outside, self.locks, sweep.request),
            overview=self._overview(issues, desk),
            demo=self._demo_desk(desk, issues),
            trigger=trigger,
            afk=afk,
            keys=keys,
            parked=self._parked_desk(outside, sweep),
            salvage=self._salvage(outside, sweep),
            stopper=Stopper(ledgers.runs, self.locks, self._look_soon, self._kill_soon),
            listing=RunListing(ledgers.runs, quota, outside),
            accounts=_accounts(self.settings, ledgers.runs.stores),
            sweep=sweep,
            engine=outside.engine,
            limits_mode=lambda: self.counting.look_once(clock()),
            examine=lambda: examine(outside.agents, self._premises()),
            settings=tuple(SettingValue(*one) for one in self.settings.told(given)),
        )

    def _overview(self, issues: IssueDesk, desk: ProjectDesk) -> Overview:
        projects, runs = self.ledgers.projects, self.ledgers.runs
        return Overview(projects, runs, issues, desk, self.feed, remembers=self.leases.is_alone)

    def _identity(self) -> Identity:
        return Identity(
            environment=self.settings.environment,
            version=__version__,
            commit=read_commit(ROOT / ".git"),
            database=self.database.kind,
            host=socket.gethostname(),
        )

    def _kill_soon(self, run_id: str) -> None:
        self.workers.submit(self.adapters.engine.kill, run_id)

    def _look_soon(self, run_id: str) -> None:
        self.workers.submit(self._look_again, run_id)

    def _reaper(self, outside: Outside, launcher: Launcher) -> Reaper:
        return make_reaper(
            self.ledgers,
            outside,
            launcher,
            locks=self.locks,
            workers=self.workers,
            tenure=self.tenure,
            clock=self.clock,
            again=self._look_again,
        )

    def _parked_desk(self, outside: Outside, sweep: Sweep) -> ParkedDesk:
        holdings = Holdings(outside, self.workers, self.clock, self.feed.publish)
        return ParkedDesk(self.ledgers, outside, holdings, self.locks, sweep.request)

    def _salvage(self, outside: Outside, sweep: Sweep) -> Salvage:
        deliverer = Deliverer(self.ledgers.runs, outside, self.clock)
        return Salvage(self.ledgers, outside, deliverer, self.locks, sweep.request)

    def _project_desk(self, outside: Outside, sweep: Sweep) -> ProjectDesk:
        defaults = {
            "budget_seconds": self.settings.budget_seconds,
            "max_concurrency": self.settings.repo_concurrency,
        }
        return ProjectDesk(self.ledgers, outside, self.workers, self.feed, sweep.request, defaults)

    def _demo_desk(self, desk: ProjectDesk, issues: IssueDesk) -> DemoDesk:
        git, files = self.adapters.git, ASSETS / "demo" / "repository"
        return DemoDesk(
            self.ledgers.projects,
            desk,
            issues,
            lambda folder: make_demo_repository(git, files, folder),
            self.settings.data_root / "demo",
            ASSETS / "demo" / "agent.py",
        )

    def _trigger_desk(
        self, outside: Outside, quota: Quota, keys: Keys, on_accepted: Callable[[], None]
    ) -> TriggerDesk:
        checks = Prechecks(self.ledgers.projects, outside)
        places = Places(quota, self.ledgers.runs.stores, self.counting)
        return TriggerDesk(self.ledgers.runs, checks, places, keys, on_accepted)

    def _premises(self) -> Premises:
        kind, git = self.database.kind, self.adapters.git
        return premises_of(self.settings, kind, git, lambda: self.counting.check(self.clock()))


def _accounts(settings: Settings, stores: Stores) -> Accounts:
    return Accounts(AccountLedger(stores), entropy=secrets.token_bytes, data_dir=settings.data_root)
