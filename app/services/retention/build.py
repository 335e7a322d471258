"""The services of retention: what is removed from the disk, and when."""

from __future__ import annotations

from dataclasses import dataclass

from app.services.context import Context
from app.services.kept.parked import Holdings
from app.services.retention.empty_branches import EmptyBranches
from app.services.retention.logs import LogRetention
from app.services.retention.policy import Terms
from app.services.retention.unsent_comments import UnsentComments
from app.services.retention.working_copies import CopyRetention
from app.services.system.build import SystemServices


@dataclass(frozen=True)
class RetentionServices:
    """The services of retention; of several servers, only the one that sweeps removes."""

    retention: LogRetention


def build(context: Context, system: SystemServices) -> RetentionServices:
    """Build the services of retention."""
    terms = Terms(context.settings.keep_days, context.settings.keep_gb)
    adapters, publish = context.adapters, context.feed.publish
    holdings = Holdings(adapters, context.workers, context.clock, publish)
    copies = CopyRetention(context, system.leases, terms)
    branches = EmptyBranches(context, system.leases, holdings)
    comments = UnsentComments(context, system.leases, terms)
    return RetentionServices(
        LogRetention(context, system.leases, copies, branches, comments, terms)
    )
