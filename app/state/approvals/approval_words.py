"""The sentences about an approval, alike on its page, on a run and on a change."""

from __future__ import annotations

from app.api.schemas import ApprovalOut
from app.domain.ids import shorten
from app.domain.projects.approvals import ApprovalKind, ApprovalState

WAITS_FOR_START = "This run starts once it is approved."
ENDED = {
    ApprovalState.APPROVED: "Approved",
    ApprovalState.REJECTED: "Rejected",
    ApprovalState.EXPIRED: "Nobody answered in time",
    ApprovalState.WITHDRAWN: "Not needed any more",
}


def what_words(approval: ApprovalOut) -> str:
    """Return what is to be approved: `Start of a run for issue #12`, `Merge of change 3`."""
    if approval.kind is ApprovalKind.MERGE:
        return f"Merge of change {approval.change}"
    if approval.issue is not None:
        return f"Start of a run for issue #{approval.issue}"
    return f"Start of run {shorten(approval.run_id or '')}"


def needs_words(approval: ApprovalOut) -> str:
    """Return what waits for the approval, and how many are there already."""
    if approval.kind is ApprovalKind.START:
        return WAITS_FOR_START
    has = f"It has {approval.approvals} of {approval.needed}."
    what = "approval" if approval.needed == 1 else "approvals"
    needs = f"This change needs {approval.needed} {what} before it is merged."
    return f"{needs} {has}" if approval.needed > 1 else needs


def why_not_merged(approval: ApprovalOut | None) -> str:
    """Return why a change cannot be merged for want of approval; empty if it can be tried."""
    if approval is None:
        return ""
    if approval.state is ApprovalState.PENDING:
        lacking = approval.needed - approval.approvals
        return f"It needs {lacking} more approval{'s' * (lacking != 1)}."
    return "Its merge was rejected." if approval.state is ApprovalState.REJECTED else ""


def asked_words(approval: ApprovalOut) -> str:
    """Return who started the run."""
    name = approval.asked_by_name
    return f"started by {name}" if name else "started by the auto loop"


def ended_words(approval: ApprovalOut) -> str:
    """Return how an approval ended; empty while it is pending."""
    if approval.state is ApprovalState.PENDING:
        return ""
    words = ENDED[approval.state]
    is_said = approval.state is ApprovalState.REJECTED and approval.because
    return f"{words}: {approval.because}" if is_said else f"{words}."


def comments_of(approval: ApprovalOut) -> list[str]:
    """Return what people said who approved it."""
    return [
        f"{one.name} approved it: {one.comment}" if one.comment else f"{one.name} approved it"
        for one in approval.answers
        if one.approves
    ]
