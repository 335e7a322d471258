"""The tables. Constraints make bad states impossible; statuses are text with a CHECK."""

from app.records.tables.batches import Batch, BatchItem, Bulk, BulkItem
from app.records.tables.control import (
    AccountHold,
    Audit,
    Lease,
    LoginLink,
    Notification,
    Person,
    Project,
    ReadItem,
    SignIn,
    Subscription,
    TemplateRow,
    Visit,
)
from app.records.tables.runs import CheckResult, ProjectDay, Run, RunEvent, RunPrompt
from app.records.tables.stores import Applied, Moment, Outgoing, Setting, Stuck
from app.records.tables.tracker import (
    ChangeComment,
    ChangeRequest,
    ForgeComment,
    ForgeServer,
    IssueComment,
    IssueRow,
    ViewedFile,
)

__all__ = [
    "AccountHold",
    "Applied",
    "Audit",
    "Batch",
    "BatchItem",
    "Bulk",
    "BulkItem",
    "ChangeComment",
    "ChangeRequest",
    "CheckResult",
    "ForgeComment",
    "ForgeServer",
    "IssueComment",
    "IssueRow",
    "Lease",
    "LoginLink",
    "Moment",
    "Notification",
    "Outgoing",
    "Person",
    "Project",
    "ProjectDay",
    "ReadItem",
    "Run",
    "RunEvent",
    "RunPrompt",
    "Setting",
    "SignIn",
    "Stuck",
    "Subscription",
    "TemplateRow",
    "ViewedFile",
    "Visit",
]
