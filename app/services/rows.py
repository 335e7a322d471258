"""Rows, changes and audit types, re-exported for packages that may not import `app.records`."""

from __future__ import annotations

from app.records.database.database import DatabaseSilent, has_begun_to_write, watched_writing
from app.records.feed import (
    BulkChanged,
    Change,
    DevicesChanged,
    FeedBroke,
    FindingsChanged,
    ItemsRead,
    LogGrew,
    Numbered,
    ProjectChanged,
    QuotaChanged,
    RunChanged,
    RunEventAppended,
    RunReported,
    StoresChanged,
    StuckChanged,
    SubscriptionsChanged,
)
from app.records.people.approval_ledger import ApprovalFilter
from app.records.people.audit_ledger import Act, Deed, acting, current_act, nothing_done
from app.records.people.audit_pages import AuditFilter
from app.records.people.people_ledger import Member
from app.records.people.reach import Reach, can_see, current_reach, within
from app.records.projects.issue_queue import Beside
from app.records.projects.project_reading import ProjectUnreadable
from app.records.runs.run_pages import ListedRun, Page, RunFilter, columns_of
from app.records.tables import (
    Audit,
    Batch,
    Bulk,
    BulkItem,
    ChangeRequest,
    CheckResult,
    ForgeServer,
    Project,
    Run,
    RunEvent,
)
from app.records.tables.people import DEFAULT_ORGANISATION

__all__ = [
    "DEFAULT_ORGANISATION",
    "Act",
    "ApprovalFilter",
    "Audit",
    "AuditFilter",
    "Batch",
    "Beside",
    "Bulk",
    "BulkChanged",
    "BulkItem",
    "Change",
    "ChangeRequest",
    "CheckResult",
    "DatabaseSilent",
    "Deed",
    "DevicesChanged",
    "FeedBroke",
    "FindingsChanged",
    "ForgeServer",
    "ItemsRead",
    "ListedRun",
    "LogGrew",
    "Member",
    "Numbered",
    "Page",
    "Project",
    "ProjectChanged",
    "ProjectUnreadable",
    "QuotaChanged",
    "Reach",
    "Run",
    "RunChanged",
    "RunEvent",
    "RunEventAppended",
    "RunFilter",
    "RunReported",
    "StoresChanged",
    "StuckChanged",
    "SubscriptionsChanged",
    "acting",
    "can_see",
    "columns_of",
    "current_act",
    "current_reach",
    "has_begun_to_write",
    "nothing_done",
    "watched_writing",
    "within",
]
