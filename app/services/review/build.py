"""The services of the inbox, of reports and of reviews."""

from __future__ import annotations

from dataclasses import dataclass

from app.services.context import Context
from app.services.limits.build import LimitServices
from app.services.projects.build import ProjectServices
from app.services.projects.overview import shown_for
from app.services.review.autoland import AutolandService
from app.services.review.ci_fixing import CiFixing
from app.services.review.feedback import Feedback
from app.services.review.forge_rounds import ForgeRounds
from app.services.review.history import Histories
from app.services.review.inbox import Inbox
from app.services.review.issue_board import IssueBoard
from app.services.review.report import ReportService
from app.services.review.resolving import Resolving
from app.services.review.reviews import Reviews
from app.services.review.search import Search
from app.services.review.unread import Unread
from app.services.review.visits import Visits
from app.services.runs.build import RunServices
from app.services.system.build import SystemServices
from app.services.tracker.build import TrackerServices


@dataclass(frozen=True)
class ReviewServices:
    """The services of the inbox, of reports and of reviews."""

    inbox: Inbox
    unread: Unread
    visits: Visits
    reports: ReportService
    reviews: Reviews
    feedback: Feedback
    issue_board: IssueBoard
    resolving: Resolving
    ci_fixing: CiFixing
    histories: Histories
    search: Search
    autoland: AutolandService


def build(
    context: Context,
    system: SystemServices,
    limits: LimitServices,
    runs: RunServices,
    tracker: TrackerServices,
    projects: ProjectServices,
) -> ReviewServices:
    """Build the services of the inbox, of reports and of reviews."""
    autoland = AutolandService(context, tracker.changes, tracker.conflicts)
    tracker.conflicts.on_looked(autoland.request)
    ci_fixing = CiFixing(context, tracker.changes, runs.accept)
    rounds = ForgeRounds(context, runs.accept, ci_fixing, tracker.scheduled_merges)
    tracker.pull_requests.on_looked(rounds.follow)
    lifetime = shown_for(context.stores, is_alone=system.leases.is_alone)
    inbox = Inbox(
        context,
        projects.overview,
        limits.limits,
        projects.alerts,
        system.quarantine,
        lifetime=lifetime,
    )
    return ReviewServices(
        inbox=inbox,
        unread=Unread(context, inbox, is_kept=lifetime > 0),
        visits=Visits(context),
        reports=ReportService(context.ledgers.projects, limits.limits, context.stores),
        reviews=Reviews(context, tracker.changes),
        feedback=Feedback(context, tracker.changes, tracker.scheduled_merges, runs.accept),
        issue_board=IssueBoard(context, projects.overview, system.quarantine),
        resolving=Resolving(context, tracker.changes, runs.accept),
        ci_fixing=ci_fixing,
        histories=Histories(context, tracker.changes),
        search=Search(context.stores, runs.listing),
        autoland=autoland,
    )
