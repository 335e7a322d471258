"""The services in one hand: what the door and the program need of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.domain.quota_rules import LimitsMode
from app.records.database import Database
from app.records.feed import Feed
from app.records.project_ledger import ProjectLedger
from app.records.project_names import ProjectNames
from app.records.routing import Stores
from app.records.run_ledger import RunLedger
from app.services.accounts import Accounts
from app.services.afk import AfkDesk
from app.services.alerts import Alerts
from app.services.audit import AuditDesk
from app.services.auto_loop import AutoLoop
from app.services.batches import BatchDesk
from app.services.browser_rule import BrowserRule
from app.services.bulk import BulkDesk
from app.services.changes import ChangeDesk
from app.services.demo import DemoDesk
from app.services.disk_room import DiskRoom
from app.services.doctor import Doctor
from app.services.figures import FigureDesk
from app.services.health import HealthDesk
from app.services.issues import IssueDesk
from app.services.keys import Keys
from app.services.listing import RunListing
from app.services.notification_desk import NotificationDesk
from app.services.overview import Overview
from app.services.parked import ParkedDesk
from app.services.planned import PlanDesk
from app.services.ports import Engine
from app.services.projects import ProjectDesk
from app.services.quarantine import Quarantine
from app.services.reports import Reporter
from app.services.resume import ResumeDesk
from app.services.retention import RetentionDesk
from app.services.retry import RetryDesk
from app.services.salvage import Salvage
from app.services.secret_values import SecretValues
from app.services.stopping import Stopper
from app.services.store_watch import StoreWatch
from app.services.sweep import Sweep
from app.services.trigger import TriggerDesk
from app.services.usage_limits import UsageLimits


@dataclass(frozen=True)
class Identity:
    """What this server is, as provenance tells it."""

    environment: str
    version: str
    commit: str
    database: str
    host: str

    def as_dict(self) -> dict[str, str]:
        """For a run's row."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class SettingValue:
    """A setting as doctor prints it."""

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
    projects: ProjectDesk
    issues: IssueDesk
    changes: ChangeDesk
    overview: Overview
    figures: FigureDesk
    demo: DemoDesk
    trigger: TriggerDesk
    batches: BatchDesk
    bulk: BulkDesk
    quarantine: Quarantine
    store_watch: StoreWatch
    health: HealthDesk
    retry: RetryDesk
    resume: ResumeDesk
    limits: UsageLimits
    afk: AfkDesk
    loop: AutoLoop
    keys: Keys
    parked: ParkedDesk
    salvage: Salvage
    planned: PlanDesk
    stopper: Stopper
    reporter: Reporter
    retention: RetentionDesk
    listing: RunListing
    accounts: Accounts
    browser_rule: BrowserRule
    secrets: SecretValues
    audit: AuditDesk
    notifications: NotificationDesk
    sweep: Sweep
    engine: Engine
    limits_mode: Callable[[], LimitsMode]
    doctor: Doctor
    settings: tuple[SettingValue, ...]

    @property
    def project_names(self) -> ProjectNames:
        """What projects are called, for showing only."""
        return self.project_rows.names
