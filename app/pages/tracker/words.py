"""Issues and changes in words: list lines, labels, states."""

from __future__ import annotations

from app.api.schemas import ChangeOut, IssueOut
from app.domain.tracker.issue_states import IssueState
from app.domain.tracker.merge_waits import WAIT_LABELS
from app.domain.words import READY_LABEL
from app.pages.components.chips import pill_html
from app.pages.components.markup import counted, plain_html, text
from app.state.tracker.issue_board import GROUP_NAMES

STATE_TONES = {
    IssueState.ATTENTION: "stop",
    IssueState.RUNNING: "acc",
    IssueState.READY: "go",
    IssueState.WAITING: "idle",
    IssueState.REVIEW: "go",
}
TONES = {"open": "acc", "merged": "go", "closed": "idle"}


def issue_path(project_id: str, number: int) -> str:
    """Return the address of an issue's page."""
    return f"/projects/{project_id}/issues/{number}"


def labels_html(labels: list[str]) -> str:
    """Return labels as chips, with the one that agents look for highlighted."""
    return "".join(
        f'<span class="chip{" ready" if label == READY_LABEL else ""}">{plain_html(label)}</span>'
        for label in labels
    )


def state_html(issue: IssueOut, state: IssueState | None) -> str:
    """Return the issue's state as a pill; until the board is read, Closed, Ready or Open."""
    if issue.state == "closed":
        return pill_html("Closed", "idle", testid="issue-state")
    if state is not None and state is not IssueState.DONE:
        return pill_html(GROUP_NAMES[state], STATE_TONES[state], testid="issue-state")
    words, tone = ("Ready", "go") if issue.claimable else ("Open", "acc")
    return pill_html(words, tone, testid="issue-state")


def hold_html(issue: IssueOut) -> str:
    """Return the reason why the issue is not started; empty if nothing holds it."""
    waits = "" if issue.state == "closed" else issue.hold or ""
    held = f'<span class="sub" data-testid="issue-hold">{plain_html(waits)}</span>' if waits else ""
    return " ".join(part for part in (held, ignored_html(issue)) if part)


def ignored_html(issue: IssueOut) -> str:
    """Return the named blockers that do not exist: `#999 does not exist`."""
    words = "; ".join(map(plain_html, issue.notes)) if issue.state == "open" else ""
    return f'<span class="sub" data-testid="unknown-blockers">{words}</span>' if words else ""


def change_html(change: ChangeOut, path: str) -> str:
    """Return two lines on a change; `path` is the address of its page."""
    size = f"{counted(change.commits, 'commit')} · {counted(change.files_changed, 'file')}"
    closes = f" · closes #{change.closes}" if change.closes else ""
    draft = pill_html("Draft", "wait", testid="change-draft") if change.draft else ""
    waits = pill_html(WAIT_LABELS[change.merge_waits], "acc") if change.merge_waits else ""
    return (
        f'<div class="line"><span class="m sub">{change.number}</span>'
        f'<a href="{text(path)}"><b>{plain_html(change.title)}</b></a>'
        f"{pill_html(change.state, TONES[change.state])}{draft}{waits}</div>"
        f'<div class="sub"><span class="m">{plain_html(f"{change.branch} → {change.base}")}</span>'
        f' · {size} · <span class="plus">+{change.additions}</span>'
        f' <span class="minus">−{change.deletions}</span>{closes}</div>'
    )
