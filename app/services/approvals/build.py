"""The services of approvals: what waits for one, and how it is answered."""

from __future__ import annotations

from dataclasses import dataclass

from app.records.people.approval_ledger import ApprovalLedger
from app.services.approvals.approvals import ApprovalRequests
from app.services.approvals.merges import MergeApprovals
from app.services.approvals.starts import StartApprovals
from app.services.context import Context
from app.services.system.build import SystemServices


@dataclass(frozen=True)
class ApprovalServices:
    """The services of approvals."""

    approval_requests: ApprovalRequests
    merge_approvals: MergeApprovals


def build(context: Context, system: SystemServices) -> ApprovalServices:
    """Build the services of approvals."""
    ledger = ApprovalLedger(context.stores)
    starts = StartApprovals(context, system.outbox)
    merges = MergeApprovals(context, ledger)
    requests = ApprovalRequests(
        *(ledger, context.ledgers.projects, starts, merges),
        leases=system.leases,
        quarantine=system.quarantine,
    )
    return ApprovalServices(approval_requests=requests, merge_approvals=merges)
