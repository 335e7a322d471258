"""Container of all services, for the API, the pages and the program itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from app.domain.quota import LimitsMode
from app.records.feed import Feed
from app.services.approvals import build as approvals
from app.services.approvals.build import ApprovalServices
from app.services.auto import build as auto
from app.services.auto.build import AutoServices
from app.services.auto.sweep import Starts
from app.services.batches import build as batches
from app.services.batches.build import BatchServices
from app.services.context import Context, Identity
from app.services.kept import build as kept
from app.services.kept.build import KeptServices
from app.services.lifecycle import build as lifecycle
from app.services.lifecycle.build import LifecycleServices
from app.services.limits import build as limits
from app.services.limits.build import LimitServices
from app.services.notifications import build as notifications
from app.services.notifications.build import NotificationServices
from app.services.people import build as people
from app.services.people.build import PeopleServices
from app.services.projects import build as projects
from app.services.projects.alerts import AGENT, DISK
from app.services.projects.build import ProjectServices
from app.services.retention import build as retention
from app.services.retention.build import RetentionServices
from app.services.review import build as review
from app.services.review.build import ReviewServices
from app.services.runs import build as runs
from app.services.runs.build import RunServices
from app.services.secret_values import SecretValues
from app.services.system import build as system
from app.services.system.build import SystemServices
from app.services.system.doctor import Doctor
from app.services.system.doctor_checks import DoctorSources
from app.services.tracker import build as tracker
from app.services.tracker.build import TrackerServices


@dataclass(frozen=True)
class SettingValue:
    """A setting with its value and origin, as doctor prints it."""

    name: str
    value: str
    origin: str


@dataclass(frozen=True)
class Services(
    SystemServices,
    PeopleServices,
    ApprovalServices,
    LimitServices,
    RunServices,
    NotificationServices,
    LifecycleServices,
    TrackerServices,
    ProjectServices,
    KeptServices,
    RetentionServices,
    ReviewServices,
    BatchServices,
    AutoServices,
):
    """Every service of a running Runyard, under the names that its capability gives them."""

    context: Context
    # what routes need of it
    identity: Identity
    clock: Callable[[], datetime]
    feed: Feed
    secrets: SecretValues
    doctor: Doctor
    settings: tuple[SettingValue, ...]

    def limits_mode(self) -> LimitsMode:
        """Return how quotas are counted, after probing counters that were lost."""
        return self.counters.check_once(self.clock())


def build(context: Context, settings: tuple[SettingValue, ...]) -> Services:
    """Build every capability, each over those that it builds on."""
    base = system.build(context)
    of_people = people.build(context, base)
    approving = approvals.build(context, base)
    limiting = limits.build(context, base, of_people)
    running = runs.build(context, base, of_people, limiting)
    notifying = notifications.build(context, base, of_people)
    living = lifecycle.build(context, base, of_people, limiting, running)
    tracking = tracker.build(context, base, approving, living)
    of_projects = projects.build(context, base, limiting, notifying, tracking)
    keeping = kept.build(context, base, limiting, running, living)
    retaining = retention.build(context, base)
    reviewing = review.build(context, base, limiting, running, tracking, of_projects)
    batching = batches.build(context, base, limiting, running, living, keeping)
    starts = Starts(keeping.resume, batching.batch_line)
    starting = auto.build(context, base, limiting, running, living, tracking, starts)
    sources = _sources(context, limiting, notifying, retaining, of_projects)
    return Services(
        **vars(base),
        **vars(of_people),
        **vars(approving),
        **vars(limiting),
        **vars(running),
        **vars(notifying),
        **vars(living),
        **vars(tracking),
        **vars(of_projects),
        **vars(keeping),
        **vars(retaining),
        **vars(reviewing),
        **vars(batching),
        **vars(starting),
        context=context,
        identity=context.identity,
        clock=context.clock,
        feed=context.feed,
        secrets=context.adapters.secrets,
        doctor=system.build_doctor(context, base, sources),
        settings=settings,
    )


def _sources(
    context: Context,
    limiting: LimitServices,
    notifying: NotificationServices,
    retaining: RetentionServices,
    of_projects: ProjectServices,
) -> DoctorSources:
    return DoctorSources(
        limits=lambda: limiting.counters.check(context.clock()),
        receivers=notifying.notifications.problems,
        removals=retaining.retention.removal_words,
        agents_needed=partial(of_projects.alerts.words_of, AGENT),
        low_disks=partial(of_projects.alerts.words_of, DISK),
    )
