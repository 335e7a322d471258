"""The one object that holds everything: picks the adapters, starts and ends in order."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from apscheduler.schedulers.background import BackgroundScheduler

from app import __version__
from app.adapters.agents.presets import AgentPresets
from app.adapters.checkout import read_commit
from app.adapters.demo_repository import make_demo_repository
from app.adapters.engine.local import LocalEngine
from app.adapters.forge.builtin import BuiltinForge
from app.adapters.git import Git, read_identity
from app.adapters.mirrors import GitMirrors
from app.adapters.working_copies import GitWorkingCopies
from app.config import Settings
from app.records.account_ledger import AccountLedger
from app.records.database import Database
from app.records.feed import Feed, LogGrew
from app.records.migration import migrate
from app.records.project_ledger import ProjectLedger, TrackerLedger
from app.records.routing import Stores
from app.records.run_ledger import RunLedger
from app.services.accounts import Accounts
from app.services.changes import ChangeDesk
from app.services.delivery import Deliverer
from app.services.demo import DemoDesk
from app.services.doctor import Premises, examine
from app.services.floor import Ledgers, Outside
from app.services.issues import IssueDesk
from app.services.launcher import Launcher, LaunchTerms
from app.services.listing import RunListing
from app.services.overview import Overview
from app.services.plane import Identity, Services, SettingValue
from app.services.prechecks import Prechecks
from app.services.projects import ProjectDesk
from app.services.quota import Quota
from app.services.reaper import Reaper
from app.services.run_locks import Locks
from app.services.settlement import Settlement
from app.services.stopping import Stopper
from app.services.sweep import Sweep
from app.services.trigger import Limits, TriggerDesk
from app.services.workers import Workers

log = logging.getLogger(__name__)
ROOT = Path(__file__).parent.parent
ASSETS = ROOT / "assets"
WORKERS = 16


def wall_clock() -> datetime:
    """The time now, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Adapters:
    """What touches the outside."""

    git: Git
    mirrors: GitMirrors
    copies: GitWorkingCopies
    engine: LocalEngine
    agents: AgentPresets

    def outside(self, ledgers: Ledgers) -> Outside:
        """The same, as the services know it."""
        forge = BuiltinForge(ledgers.tracker)
        return Outside(self.mirrors, self.copies, self.engine, self.agents, lambda _: forge)


class ControlPlane:
    """A Runyard without its door: `start` brings it up, `stop` ends it; runs outlive both."""

    def __init__(
        self,
        settings: Settings,
        *,
        given: dict[str, object] | None = None,
        clock: Callable[[], datetime] = wall_clock,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.adapters = _adapters(settings)
        self.feed = Feed()
        self.database = Database(settings.database, tell=self.feed.publish)
        self.workers = Workers(WORKERS)
        self.scheduler = BackgroundScheduler(timezone=UTC)
        stores = Stores(self.database, None, secrets.token_bytes)
        self.ledgers = Ledgers(RunLedger(stores), ProjectLedger(stores), TrackerLedger(stores))
        self.locks = Locks()
        self.services = self._build(given or {})

    def start(self) -> None:
        """Bring the database up to date, take over what lives, then begin to sweep."""
        self.migrate()
        self.services.accounts.operator(self.clock())
        self.adapters.engine.listen(self._hear)
        self.workers.submit(self._begin)

    def migrate(self) -> None:
        """Bring the database to this program's schema."""
        migrate(self.database, backups=self.settings.data_root / "backups", now=self.clock())

    def stop(self) -> None:
        """End sweeping and watching; agents go on under their supervisors."""
        if self.scheduler.running:
            self.scheduler.shutdown(wait=False)
        self.adapters.engine.close()
        self.workers.close()
        self.workers.finish(5)
        self.database.close()

    def recover_once(self) -> int:
        """Adopt, end or undo every open run, and end processes that belong to none."""
        runs, engine = self.services.runs, self.adapters.engine
        open_runs = runs.open_runs()
        for run in open_runs:
            engine.watch(run.id)
            try:
                self.reaper.reap_once(run.id)
            except Exception:
                log.exception("run %s could not be looked at", run.id)
        for run_id in engine.owned() - {run.id for run in runs.open_runs()}:
            log.warning("ending processes of %s, which is no open run", run_id)
            engine.kill(run_id)
        return len(open_runs)

    def _begin(self) -> None:
        self.recover_once()
        self.services.projects.resume_clones()
        self.scheduler.add_job(
            self.services.sweep.request,
            "interval",
            seconds=self.settings.sweep_seconds,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )
        self.scheduler.start()
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
        launcher = Launcher(ledgers, outside, _terms(self.settings), self.locks, clock)
        self.reaper = self._reaper(outside, launcher)
        sweep = Sweep(
            ledgers, self.reaper, launcher, self.workers, clock, self.settings.max_live_runs
        )
        issues = IssueDesk(ledgers, outside.mirrors)
        desk = self._project_desk(outside, sweep)
        quota = Quota(self.settings.run_quota, self.settings.run_window)
        return Services(
            identity=self._identity(),
            clock=clock,
            feed=self.feed,
            stores=ledgers.runs.stores,
            database=self.database,
            runs=ledgers.runs,
            project_rows=ledgers.projects,
            projects=desk,
            issues=issues,
            changes=ChangeDesk(ledgers, outside, self.locks, sweep.request),
            overview=Overview(ledgers.projects, ledgers.runs, issues, desk, self.feed),
            demo=self._demo_desk(desk, issues),
            trigger=self._trigger_desk(outside, quota, sweep),
            stopper=Stopper(ledgers.runs, self.locks, self._look_soon),
            listing=RunListing(ledgers.runs, quota, outside),
            accounts=_accounts(self.settings, ledgers.runs.stores),
            sweep=sweep,
            engine=outside.engine,
            examine=lambda: examine(outside.agents, self._premises()),
            settings=tuple(SettingValue(*one) for one in self.settings.told(given)),
        )

    def _identity(self) -> Identity:
        return Identity(
            environment=self.settings.environment,
            version=__version__,
            commit=read_commit(ROOT / ".git"),
            database=self.database.kind,
            host=socket.gethostname(),
        )

    def _look_soon(self, run_id: str) -> None:
        self.workers.submit(self._look_again, run_id)

    def _reaper(self, outside: Outside, launcher: Launcher) -> Reaper:
        runs, clock = self.ledgers.runs, self.clock
        return Reaper(
            self.ledgers,
            outside,
            launcher,
            Deliverer(runs, outside, clock),
            Settlement(runs, outside, self.workers, clock, self._look_again),
            self.locks,
            clock,
        )

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

    def _trigger_desk(self, outside: Outside, quota: Quota, sweep: Sweep) -> TriggerDesk:
        limits = Limits(self.settings.key_hold_seconds, self.settings.key_ttl_seconds)
        checks = Prechecks(self.ledgers.projects, outside)
        return TriggerDesk(self.ledgers.runs, checks, quota, limits, sweep.request_fill)

    def _premises(self) -> Premises:
        return Premises(
            bind=f"{self.settings.host}:{self.settings.port}",
            database=self.database.kind,
            data_dir=self.settings.data_root,
            nicegui=metadata.version("nicegui"),
            git=lambda: _numbers(self.adapters.git.version()),
            sandbox=lambda: shutil.which("bwrap"),
        )


def _adapters(settings: Settings) -> Adapters:
    root, git = settings.runs_root, Git(read_identity())
    mirrors = root / "mirrors"
    return Adapters(
        git=git,
        mirrors=GitMirrors(mirrors, git=git),
        copies=GitWorkingCopies(root / "copies", mirrors, git=git),
        engine=LocalEngine(root / "records", instance=_instance(settings.data_root)),
        agents=AgentPresets(os.environ),
    )


def _instance(data_dir: Path) -> str:
    # the mark of every process this data folder starts; made once
    file = data_dir / "instance"
    if not file.exists():
        file.write_text(secrets.token_hex(8))
    return file.read_text().strip()


def _accounts(settings: Settings, stores: Stores) -> Accounts:
    return Accounts(AccountLedger(stores), entropy=secrets.token_bytes, data_dir=settings.data_root)


def _terms(settings: Settings) -> LaunchTerms:
    return LaunchTerms(
        grace_seconds=settings.kill_grace_seconds,
        launch_seconds=settings.launch_seconds,
        log_cap_bytes=settings.log_cap_bytes,
        host=socket.gethostname(),
        instance=_instance(settings.data_root),
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(" ")[0].split(".") if part.isdigit())
