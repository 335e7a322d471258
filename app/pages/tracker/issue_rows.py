"""An issue as a row of the list and as a card of the board."""

from __future__ import annotations

from datetime import datetime

from app.api.schemas.issue_board import BoardIssueOut
from app.domain.text.durations import rough_words
from app.domain.tracker.issue_states import IssueState, Tone
from app.domain.words import READY_LABEL, Priority, Status
from app.pages.components.countdown import ago_html, at_html, since_html
from app.pages.components.icons import Mark, icon, mark
from app.pages.components.keyed_rows import RowLook
from app.pages.components.markup import plain, plain_html, text
from app.pages.runs.delivery import safe_href
from app.pages.shell.page_session import PageSession
from app.pages.tracker.words import issue_path

MARKS: dict[IssueState, Mark] = {
    IssueState.ATTENTION: "attn",
    IssueState.RUNNING: "running",
    IssueState.READY: "ready",
    IssueState.WAITING: "waiting",
    IssueState.REVIEW: "review",
    IssueState.DONE: "done",
}
LEVELS = {Priority.URGENT: 4, Priority.HIGH: 3, Priority.NORMAL: 2, Priority.LOW: 1}
# colors of the labels that most trackers have; others get the gray of a label
_COLORS = {
    "bug": "stop",
    "feature": "accent",
    "enhancement": "accent",
    "docs": "go",
    "documentation": "go",
    "needs-info": "wait",
}
MOST_LABELS = 3


def priority_html(priority: Priority) -> str:
    """Return a priority as bars, with its name for whoever cannot see them."""
    words = f"{priority.capitalize()} priority"
    return (
        f'<span class="prio p{LEVELS[priority]}" title="{words}"><i></i><i></i><i></i>'
        f'<span class="sr">{words}</span></span>'
    )


def label_chips_html(labels: list[str]) -> str:
    """Return labels as chips with a dot; the one that makes an issue ready is left out."""
    shown = [label for label in labels if label != READY_LABEL]
    chips = "".join(
        f'<span class="lab {_COLORS.get(label.casefold(), "")}" title="{text(plain(label))}">'
        f"{plain_html(label)}</span>"
        for label in shown[:MOST_LABELS]
    )
    more = len(shown) - MOST_LABELS
    return chips + (f'<span class="mut">+{more}</span>' if more > 0 else "")


def next_html(issue: BoardIssueOut, now: datetime, *, is_short: bool = False) -> str:
    """Return what happens next; for an issue that its forge was not asked about lately, as of when.

    A live run has a clock that ticks.
    """
    words = _next_html(issue, now, is_short=is_short)
    if issue.as_of is None:
        return words
    return f'{words}<span class="as-of">as of {at_html(issue.as_of)}</span>'


def _next_html(issue: BoardIssueOut, now: datetime, *, is_short: bool) -> str:
    run = issue.run
    if issue.state is IssueState.RUNNING and run and run.started_at:
        since = since_html(run.started_at, now)
        if run.status is Status.RUNNING:
            return f"<span>Working, {since} of {text(rough_words(run.budget_seconds))}</span>"
        if run.status is Status.STARTING:
            return f"<span>Setting up, {since}</span>"
    if issue.limit_until is not None:
        who = "Limit" if is_short else f"{plain_html(issue.agent)} limit"
        until = f"{who} until {at_html(issue.limit_until)}"
        return f"{icon('hourglass', kind='s')}<span>{until}</span>"
    sign = ""
    if issue.tone is Tone.LIMIT:
        sign = icon("hourglass", kind="s")
    elif issue.next.startswith("Blocked by"):
        sign = icon("lock", kind="s")
    words = plain_html(issue.next)
    return f'{sign}<span class="clip" title="{text(plain(issue.next))}">{words}</span>'


def there_html(url: str | None, number: int, *, words: str = "↗") -> str:
    """Return a link to an issue at its forge, in a new tab; empty for an address that is none."""
    href = safe_href(url or "")
    if not href:
        return ""
    about = f"#{number} at its forge"
    told = f' title="{about}" aria-label="{about}"' if words == "↗" else ""
    return (
        f'<a class="there" href="{text(href)}" target="_blank"'
        f'{told} data-testid="at-forge">{words}</a>'
    )


def people_html(issue: BoardIssueOut, *, is_short: bool = False) -> str:
    """Return an issue's assignees at its forge, with its milestone where there is room."""
    milestone = (
        f'<span class="mut clip" title="Milestone {text(plain(issue.milestone))}">'
        f"{plain_html(issue.milestone)}</span>"
        if issue.milestone and not is_short
        else ""
    )
    if not issue.assignees:
        return milestone
    names = ", ".join(map(plain, issue.assignees))
    more = f" +{len(issue.assignees) - 1}" if len(issue.assignees) > 1 else ""
    first = plain_html(issue.assignees[0])
    words = f'{icon("user", kind="s")}<span class="clip">{first}{more}</span>'
    return f'{milestone}<span class="mut person" title="Assigned to {text(names)}">{words}</span>'


def leads_to(issue: BoardIssueOut) -> str:
    """Return the address of an issue's page."""
    return issue_path(issue.project_id, issue.number)


def list_row(issue: BoardIssueOut, session: PageSession, *, of_one: bool) -> RowLook:
    """Return an issue's row; `of_one` leaves out its project."""
    now, run = session.now(), _run_button(issue, session)
    project = "" if of_one else plain_html(issue.project_name)
    cells = (
        ("pri", priority_html(issue.priority)),
        ("c num", f"#{issue.number}"),
        (
            "what",
            f"{mark(MARKS[issue.state])}{_link(issue)}{there_html(issue.url, issue.number)}"
            f"{label_chips_html(issue.labels)}{people_html(issue)}",
        ),
        ("project clip", project),
        (f"c next {issue.tone}", next_html(issue, now)),
        ("c agent clip", plain_html(issue.agent)),
        ("c when", f'<span class="ago">{ago_html(issue.updated_at, now)}</span>{run}'),
    )
    html = "".join(f'<span role="gridcell" class="{name}">{cell}</span>' for name, cell in cells)
    return RowLook(html, "issue-line", {"role": "row", **_marks(issue)})


def card(issue: BoardIssueOut, session: PageSession) -> RowLook:
    """Return an issue's card."""
    now, run = session.now(), _run_button(issue, session)
    head = (
        f'<div class="k1"><span class="clip">{plain_html(issue.project_name)}</span>'
        f'<span class="num">#{issue.number}</span>{there_html(issue.url, issue.number)}'
        f'<span class="sp"></span>{people_html(issue, is_short=True)}'
        f"{priority_html(issue.priority)}</div>"
    )
    html = (
        f'{head}<div class="k2">{_link(issue)}</div><div class="k3">{_foot(issue, now)}</div>{run}'
    )
    props = {"role": "listitem", **_marks(issue)}
    # the order of a forge's issues comes from their labels and numbers there
    has_place = issue.state is IssueState.READY and issue.url is None
    if has_place and session.may("change_issue", issue.project_id):
        props["draggable"] = "true"
    return RowLook(html, "kc", props)


def _foot(issue: BoardIssueOut, now: datetime) -> str:
    gap, when = '<span class="sp"></span>', ago_html(issue.updated_at, now)
    next_ = f'<span class="next {issue.tone}">{next_html(issue, now, is_short=True)}</span>'
    match issue.state:
        case IssueState.READY:
            is_queued = issue.tone is Tone.USUAL and issue.next != "Auto is off"
            is_queued = is_queued and issue.as_of is None
            said = f'<span class="clip">{plain_html(issue.agent)}</span>' if is_queued else next_
            return f"{label_chips_html(issue.labels[:2])}{gap}{said}"
        case IssueState.RUNNING:
            return (
                f"{_progress(issue, now)}{gap}<span class='clip'>{plain_html(issue.agent)}</span>"
            )
        case IssueState.REVIEW:
            return f"{_size_html(issue)}{gap}{when}"
        case IssueState.DONE:
            words = "Merged" if issue.change else "Closed"
            return f"<span>{words}</span>{gap}{when}"
        case IssueState.ATTENTION:
            return f"{next_}{gap}{when}"
        case _:
            return next_


def _progress(issue: BoardIssueOut, now: datetime) -> str:
    run = issue.run
    if run is None or run.started_at is None:
        return f'<span class="next">{plain_html(issue.next)}</span>'
    gone = max(0, int((now - run.started_at).total_seconds()))
    return (
        f'<progress class="budget" max="{run.budget_seconds}" value="{gone}"'
        f' aria-label="Time used"></progress>{since_html(run.started_at, now)}'
    )


def _size_html(issue: BoardIssueOut) -> str:
    size = issue.size
    if size is None:
        return ""
    words = f'<span class="df"><b>+{size.additions}</b><i>−{size.deletions}</i></span>'
    if size.checks:
        name, count = ("x", size.red) if size.red else ("check", size.checks)
        what = "checks failed" if size.red else "checks passed"
        tone = "minus" if size.red else "plus"
        words += f'<span class="{tone}" title="{count} {what}">{icon(name, kind="s")}{count}</span>'
    return words


def _link(issue: BoardIssueOut) -> str:
    title, shown = text(plain(issue.title)), plain_html(issue.title)
    return f'<a class="clip" href="{text(leads_to(issue))}" title="{title}">{shown}</a>'


def _run_button(issue: BoardIssueOut, session: PageSession) -> str:
    if not issue.may_run or not session.may("start", issue.project_id):
        return ""
    return (
        '<button type="button" class="btn small" data-act="run" data-testid="issue-run"'
        f' aria-label="Run #{issue.number}">{icon("play", kind="s")}Run</button>'
    )


def _marks(issue: BoardIssueOut) -> dict[str, str]:
    return {
        "data-issue": str(issue.number),
        "data-project": issue.project_id,
        "data-state": issue.state,
    }
