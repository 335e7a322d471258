"""The texts of a project's card: status pills, one sentence, bars (ui.md, Project card)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from app.api.schemas import Bar, IssueOut, LastRun, ProjectOut
from app.domain.ids import shorten
from app.domain.issues import queue_order
from app.domain.lifecycle import LIVE, WAITING
from app.domain.sandbox.levels import SandboxLevel
from app.domain.text.durations import clock_words
from app.domain.tracker.claims import NO_READY_LABEL, RENAMED
from app.domain.words import Status

BARS = 10


@dataclass(frozen=True)
class CardStatus:
    """A status pill: words, tone, and the start or end (UTC) of the clock beside them."""

    words: str
    tone: str
    since: datetime | None = None
    until: datetime | None = None


def status_of(project: ProjectOut) -> CardStatus:
    """Return a project's most important status."""
    return statuses_of(project)[0]


def statuses_of(project: ProjectOut) -> list[CardStatus]:
    """Return the status pills of a project, the most important first.

    Live runs and states that need a person come before those that pass without one.
    """
    if only := _only_status(project):
        return [only]
    found: list[CardStatus] = []
    last = project.last_run
    if last is not None and last.status in LIVE:
        found.append(_live(last))
    elif project.live_runs:
        found.append(CardStatus("Running", "acc"))
    if project.unreachable:
        found.append(CardStatus("Repository unreachable", "stop"))
    if project.paused:
        found.append(CardStatus(f"Auto paused · {project.strikes} fails", "stop"))
    if project.usage_limit is not None:
        found.append(CardStatus("Usage limit", "wait", until=project.usage_limit.until))
    if not found and last is not None and last.status in WAITING:
        found.append(CardStatus(last.label, "wait"))
    return found or [CardStatus("Idle", "idle")]


def openings_of(project: ProjectOut) -> list[CardStatus]:
    """Return chips for what agents can reach outside: `Unsandboxed`, `docker allowed`, or none."""
    if project.archived_at is not None:
        return []
    if project.sandbox == SandboxLevel.NONE:
        return [CardStatus("Unsandboxed", "stop")]
    names = ", ".join(project.allow)
    return [CardStatus(f"{names} allowed", "wait")] if names else []


def _only_status(project: ProjectOut) -> CardStatus | None:
    if project.archived_at is not None:
        return CardStatus("Archived", "idle")
    if project.state == "cloning":
        percent = project.clone_percent
        return CardStatus("Cloning…" if percent is None else f"Cloning {percent} %", "acc")
    return CardStatus("Broken", "stop") if project.state == "broken" else None


def _live(last: LastRun) -> CardStatus:
    number = f" #{last.issue}" if last.issue else ""
    if last.status is Status.STARTING or last.started_at is None:
        return CardStatus(f"Starting{number}", "acc")
    return CardStatus(f"{last.label}{number}", "acc", last.started_at)


def sentence_of(project: ProjectOut) -> str:
    """Return one sentence: the current work, the reason for waiting, or the last outcome."""
    last = project.last_run
    if project.state == "broken":
        return project.state_because or "Its repository could not be cloned."
    if project.state == "cloning":
        return project.state_because or "Its repository is being cloned. Runs wait until then."
    obstacle = _obstacle(project)
    if obstacle and (last is None or last.status not in LIVE):
        return obstacle
    if last is None:
        return project.hold or _nothing_yet(project)
    branch = last.work_branch.replace(last.id, shorten(last.id))
    what = " · ".join(part for part in (branch, last.title) if part)
    if last.status in LIVE:
        return what
    if last.status in WAITING:
        return f"{what} · {project.hold}" if project.hold else what
    if project.paused:
        return "Automatic runs wait until you press Reset."
    if project.checks_error or project.trust_hold:
        return project.checks_error or project.trust_hold or ""
    return f"Last: {_ending(last)}"


def _obstacle(project: ProjectOut) -> str:
    """Return why no run can start, "" if nothing is known to prevent it."""
    if project.unreachable:
        return f"{project.origin_because} Runs start again when it is back."
    return project.forge_hold or project.agent_problem or project.sandbox_problem or ""


def _nothing_yet(project: ProjectOut) -> str:
    if project.ready_count == 0 and project.archived_at is None:
        return "Nothing ready. Label an issue ready-for-agent to start."
    return "No runs yet."


def _ending(last: LastRun) -> str:
    after = ""
    if last.started_at is not None and last.ended_at is not None:
        after = f" after {clock_words((last.ended_at - last.started_at).total_seconds())}"
    ended_well = last.status is Status.SUCCEEDED
    more = last.title if ended_well else (last.because or last.title)
    return f"{last.label}{after}" + (f" · {more}" if more else "")


def wants_person(project: ProjectOut) -> bool:
    """Return True if the project stands still until a person acts."""
    needs_act = project.paused or project.unreachable or project.state == "broken"
    needs_act = needs_act or project.checks_error is not None or project.forge_hold is not None
    needs_act = needs_act or (project.auto_enabled and project.trust_hold is not None)
    return project.archived_at is None and (needs_act or not is_set_up(project))


def is_set_up(project: ProjectOut) -> bool:
    """Return True if this machine has the project's agent and sandbox, as far as is known."""
    return project.agent_ready and project.sandbox_problem is None


class Act(StrEnum):
    """The buttons of a project, by test id."""

    RESET = "reset"
    TRY_CHECKS = "try-checks"
    LOCATE = "locate"
    LOOK = "check-again"
    LABEL = "make-label"
    SETUP = "set-up"
    START = "start-afk"
    AUTO = "auto-toggle"
    UNDO = "sandbox-undo"
    DISMISS = "sandbox-dismiss"


# what the buttons do, as a deed that a person may do or not
DEED_OF_ACT = {
    Act.RESET: "reset",
    Act.TRY_CHECKS: "try_checks_again",
    Act.LOCATE: "change_commands",
    Act.LOOK: "check_again",
    Act.LABEL: "make_ready_label",
    Act.SETUP: "read_doctor",
    Act.START: "start",
    Act.AUTO: "auto",
}


@dataclass(frozen=True)
class Press:
    """A button: `head`, `rest` if there is room, `tail`, and a `note` after them.

    `is_weak`: greyed out but clickable; `is_busy`: its action is in progress.
    """

    act: Act
    head: str
    rest: str = ""
    tail: str = ""
    note: str = ""
    tone: str = ""
    is_weak: bool = False
    is_busy: bool = False


def presses_of(project: ProjectOut, busy: Mapping[Act, str]) -> list[Press]:
    """Return the buttons of a project, the way out of what needs a person first.

    `busy` maps actions in progress to their words.
    """
    if project.archived_at is not None:
        return []
    presses = [*_ways_out(project, busy), *_usual(project)]
    return [
        replace(one, head=busy[one.act], rest="", tail="", is_busy=True) if one.act in busy else one
        for one in presses
    ]


def _ways_out(project: ProjectOut, busy: Mapping[Act, str]) -> Iterator[Press]:
    is_away = project.unreachable or project.state == "broken"
    is_renamed = (project.forge_hold or "").startswith(RENAMED)
    lacks_label = project.forge_hold == NO_READY_LABEL
    asked = (
        (is_away or is_renamed, Act.LOCATE, "Locate…"),
        (lacks_label or Act.LABEL in busy, Act.LABEL, "Make the label"),
        (is_away or Act.LOOK in busy, Act.LOOK, "Check again"),
        (bool(project.checks_error) or Act.TRY_CHECKS in busy, Act.TRY_CHECKS, "Try again"),
        (project.paused or Act.RESET in busy, Act.RESET, "Reset"),
        (not is_set_up(project), Act.SETUP, "Set up…"),
    )
    tones = iter(("rec",))
    for is_asked, act, words in asked:
        if is_asked:
            yield Press(act, words, tone=next(tones, ""))


def _usual(project: ProjectOut) -> Iterator[Press]:
    if project.state == "broken":
        return
    on, is_weak = project.auto_enabled, not can_start(project)
    yield Press(Act.START, "Start", " AFK run", note=ready_note(project), is_weak=is_weak)
    state = f": {'On' if on else 'Off'}"
    yield Press(Act.AUTO, "Auto", " AFK runs", state, tone="on" if on else "")


def can_start(project: ProjectOut) -> bool:
    """Return False only if it is known that no issue is ready or that no run can start."""
    return project.ready_count != 0 and not project.unreachable and is_set_up(project)


def issue_choices(issues: Iterable[IssueOut]) -> dict[int, str]:
    """Return open issues by number for a picker: claimable ones first, others with their hold."""
    still_open = [issue for issue in issues if issue.state == "open"]
    return {
        issue.number: f"#{issue.number} {issue.title}"
        + (f" — {issue.hold}" if issue.hold and not issue.claimable else "")
        for issue in sorted(still_open, key=lambda i: (not i.claimable, queue_order(i)))
    }


def ready_note(project: ProjectOut) -> str:
    """Return `(4 ready)`, or "" while the count is unknown."""
    return "" if project.ready_count is None else f"({project.ready_count} ready)"


@dataclass(frozen=True)
class DrawnBar:
    """A run drawn as a bar: height in tenths of the longest run, status, tooltip."""

    height: int
    status: Status
    title: str


def bars_of(project: ProjectOut) -> list[DrawnBar]:
    """Return the bars of the last runs, oldest first."""
    bars = project.recent_runs[:BARS]
    longest = max((bar.seconds or 0 for bar in bars), default=0)
    return [_drawn(bar, longest) for bar in reversed(bars)]


def _drawn(bar: Bar, longest: float) -> DrawnBar:
    height = round(10 * (bar.seconds or 0) / longest) if longest else 0
    title = bar.label if bar.seconds is None else f"{bar.label} · {clock_words(bar.seconds)}"
    return DrawnBar(max(1, height) if bar.seconds else 0, bar.status, title)


def bars_in_words(project: ProjectOut) -> str:
    """Return the bars as text for screen readers: `Last 3 runs: 2 Succeeded, 1 Died`."""
    labels = Counter(bar.label for bar in project.recent_runs[:BARS])
    counted = ", ".join(f"{n} {label}" for label, n in labels.most_common())
    return f"Last {sum(labels.values())} runs: {counted}" if labels else "No runs yet"
