"""The services of projects: their settings, their cards, alerts and the demo."""

from __future__ import annotations

from dataclasses import dataclass

from app.records.feed import FeedBroke, ForgesChanged
from app.services.context import Context
from app.services.limits.build import LimitServices
from app.services.notifications.build import NotificationServices
from app.services.projects.alerts import Alerts
from app.services.projects.browser_rule import BrowserRule
from app.services.projects.checks import ProjectChecks
from app.services.projects.demo import DemoService
from app.services.projects.overview import Overview, ProjectViews, shown_for
from app.services.projects.projects import ProjectService
from app.services.projects.relocation import Relocation
from app.services.projects.sandbox_settings import SandboxSettings
from app.services.projects.statistics import StatisticsService
from app.services.projects.templates import TemplateService
from app.services.system.build import SystemServices
from app.services.tracker.build import TrackerServices


@dataclass(frozen=True)
class ProjectServices:
    """The services of projects."""

    projects: ProjectService
    overview: Overview
    alerts: Alerts
    statistics: StatisticsService
    demo: DemoService
    browser_rule: BrowserRule
    templates: TemplateService
    relocation: Relocation


def build(
    context: Context,
    system: SystemServices,
    limits: LimitServices,
    notifications: NotificationServices,
    tracker: TrackerServices,
) -> ProjectServices:
    """Build the services of projects."""
    ledgers, machine, clock = context.ledgers, context.adapters.machine, context.clock
    checks = ProjectChecks(context, system.outbox)
    system.origins.on_fetched(checks.suggest_once)
    projects = ProjectService(context, _build_sandbox_settings(context), checks, tracker.forges)
    issues, kept = tracker.issues, tracker.kept_issues
    views = ProjectViews(ledgers.runs, issues, kept, projects, limits.limits, system.quarantine)
    lifetime = shown_for(context.stores, is_alone=system.leases.is_alone)
    overview = Overview(ledgers.projects, views, context.feed, clock, lifetime=lifetime)
    told, publish = notifications.notifications, context.feed.publish
    alerts = Alerts(told, overview, system.disk, tracker.forges, clock, publish)
    context.feed.subscribe(alerts.on_forges, (ForgesChanged, FeedBroke))
    return ProjectServices(
        projects=projects,
        overview=overview,
        alerts=alerts,
        statistics=StatisticsService(ledgers.projects, context.stores),
        demo=DemoService(
            ledgers.projects,
            projects,
            tracker.issues,
            machine.make_demo_repository,
            context.settings.data_root / "demo",
            machine.demo_agent,
        ),
        templates=TemplateService(ledgers.projects),
        relocation=Relocation(context, projects, system.origins, tracker.forges),
        browser_rule=BrowserRule(
            ledgers.projects, ledgers.runs.begun_runs, machine.link_reader, machine.is_of_a_run
        ),
    )


def _build_sandbox_settings(context: Context) -> SandboxSettings:
    adapters, default = context.adapters, context.settings.sandbox
    private = adapters.machine.private
    return SandboxSettings(context.ledgers.projects, adapters.sandbox, default, private)
