"""Container of all services, for the API, the pages and the program itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.domain.quota import LimitsMode
from app.records.database.database import Database
from app.records.feed import Feed
from app.records.projects.project_ledger import ProjectLedger, ProjectNames
from app.records.runs.run_ledger import RunLedger
from app.records.stores.routing import Stores
from app.services.auto.afk import AfkService
from app.services.auto.loop import AutoLoop
from app.services.auto.sweep import Sweep
from app.services.batches.batches import BatchService
from app.services.batches.bulk import BulkService
from app.services.kept.parked import ParkedService
from app.services.kept.resume import ResumeService
from app.services.kept.retry import RetryService
from app.services.kept.salvage import Salvage
from app.services.limits.usage_limits import UsageLimits
from app.services.notifications.desk import NotificationService
from app.services.ports import Engine
from app.services.projects.alerts import Alerts
from app.services.projects.browser_rule import BrowserRule
from app.services.projects.demo import DemoService
from app.services.projects.overview import Overview
from app.services.projects.projects import ProjectService
from app.services.projects.statistics import StatisticsService
from app.services.retention.logs import LogRetention
from app.services.runs.accept import AcceptService
from app.services.runs.agent_reports import Reporter
from app.services.runs.idempotency import Keys
from app.services.runs.planned import PlannedRunService
from app.services.runs.queries import RunListing
from app.services.runs.stop import Stopper
from app.services.system.accounts import Accounts
from app.services.system.audit import AuditService
from app.services.system.disk_room import DiskRoom
from app.services.system.doctor import Doctor
from app.services.system.quarantine import Quarantine
from app.services.system.secret_values import SecretValues
from app.services.system.store_health import HealthService, StoreWatch
from app.services.tracker.changes import ChangeService
from app.services.tracker.issues import IssueService


@dataclass(frozen=True)
class Identity:
    """Identity of this server, as recorded in the provenance of runs."""

    environment: str
    version: str
    commit: str
    database: str
    host: str

    def as_dict(self) -> dict[str, str]:
        """Return the fields as a dict, for a run's row."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class SettingValue:
    """A setting with its value and origin, as doctor prints it."""

    name: str
    value: str
    origin: str


@dataclass(frozen=True)
class Services:
    """Every service of a running Runyard."""

    identity: Identity
    clock: Callable[[], datetime]
    feed: Feed
    stores: Stores
    database: Database
    disk: DiskRoom
    alerts: Alerts
    runs: RunLedger
    project_rows: ProjectLedger
    projects: ProjectService
    issues: IssueService
    changes: ChangeService
    overview: Overview
    figures: StatisticsService
    demo: DemoService
    trigger: AcceptService
    batches: BatchService
    bulk: BulkService
    quarantine: Quarantine
    store_watch: StoreWatch
    health: HealthService
    retry: RetryService
    resume: ResumeService
    limits: UsageLimits
    afk: AfkService
    loop: AutoLoop
    keys: Keys
    parked: ParkedService
    salvage: Salvage
    planned: PlannedRunService
    stopper: Stopper
    reporter: Reporter
    retention: LogRetention
    listing: RunListing
    accounts: Accounts
    browser_rule: BrowserRule
    secrets: SecretValues
    audit: AuditService
    notifications: NotificationService
    sweep: Sweep
    engine: Engine
    limits_mode: Callable[[], LimitsMode]
    doctor: Doctor
    settings: tuple[SettingValue, ...]

    @property
    def project_names(self) -> ProjectNames:
        """Names of projects, for display only."""
        return self.project_rows.names
