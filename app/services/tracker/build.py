"""The services of the tracker: issues and change requests."""

from __future__ import annotations

from dataclasses import dataclass

from app.services.approvals.build import ApprovalServices
from app.services.context import Context
from app.services.lifecycle.build import LifecycleServices
from app.services.system.build import SystemServices
from app.services.system.secret_key import SecretKey
from app.services.tracker.approvals import Approvals
from app.services.tracker.changes import ChangeService
from app.services.tracker.claims import ClaimTeller
from app.services.tracker.conflicts import Conflicts
from app.services.tracker.forge_issues import ForgeIssues
from app.services.tracker.forges import ForgeService
from app.services.tracker.hooks import ForgeHooks
from app.services.tracker.issues import IssueService
from app.services.tracker.kept_issues import KeptIssues
from app.services.tracker.pull_requests import PullRequestWatch
from app.services.tracker.repositories import RepositoryWatch
from app.services.tracker.reverts import Reverts
from app.services.tracker.scheduled_merges import ScheduledMerges


@dataclass(frozen=True)
class TrackerServices:
    """The services of the tracker."""

    issues: IssueService
    kept_issues: KeptIssues
    changes: ChangeService
    conflicts: Conflicts
    reverts: Reverts
    secret_key: SecretKey
    forges: ForgeService
    forge_issues: ForgeIssues
    pull_requests: PullRequestWatch
    scheduled_merges: ScheduledMerges
    hooks: ForgeHooks
    claims: ClaimTeller
    repositories: RepositoryWatch
    approvals: Approvals


def build(
    context: Context,
    system: SystemServices,
    approvals: ApprovalServices,
    lifecycle: LifecycleServices,
) -> TrackerServices:
    """Build the services of the tracker."""
    conflicts = Conflicts(context)
    system.origins.on_fetched(conflicts.on_fetched, conflicts.projects)
    changes = ChangeService(
        context, lifecycle.push_checks, system.origins, approvals.merge_approvals
    )
    key = SecretKey(context)
    forges = ForgeService(context, key)
    watch = PullRequestWatch(context, changes, system.leases, system.origins)
    issues = IssueService(context.ledgers, context.adapters)
    forge_issues = ForgeIssues(context, system.leases)
    issues.on_ready = forge_issues.compare
    return TrackerServices(
        issues=issues,
        kept_issues=KeptIssues(context, issues),
        changes=changes,
        conflicts=conflicts,
        reverts=Reverts(context, changes, system.origins),
        secret_key=key,
        forges=forges,
        forge_issues=forge_issues,
        pull_requests=watch,
        scheduled_merges=watch.merges,
        hooks=ForgeHooks(context, forges, key, watch, forge_issues),
        claims=ClaimTeller(context, system.leases),
        repositories=RepositoryWatch(context, system.leases),
        approvals=Approvals(context),
    )
