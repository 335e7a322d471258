"""What a project's card says: its status, one sentence, its bars (ui.md, Project card)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from app.api.schemas import Bar, IssueOut, LastRun, ProjectOut
from app.domain.ids import shorten
from app.domain.lifecycle import LIVE, WAITING
from app.domain.sandbox.levels import SandboxLevel
from app.domain.words import Status
from app.state.page.text_input import took

BARS = 10


@dataclass(frozen=True)
class CardStatus:
    """The pill: words, a tone, and the moment from or to which a clock runs behind them."""

    words: str
    tone: str
    since: datetime | None = None
    until: datetime | None = None


def status_of(project: ProjectOut) -> CardStatus:
    """The one thing to know of a project; what stops everything else comes first."""
    return statuses_of(project)[0]


def statuses_of(project: ProjectOut) -> list[CardStatus]:
    """The pills of a project: first the one thing to know, then what else keeps it waiting.

    What goes on and what needs a person come before what passes by itself.
    """
    if only := _only_status(project):
        return [only]
    found = []
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
    """Chips for what is open to a project's agents: `Unsandboxed`, `docker allowed`, or none."""
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
    """What is being done, what stands in the way, or how it ended last."""
    last = project.last_run
    if project.state == "broken":
        return project.state_because or "Its repository could not be cloned."
    if project.state == "cloning":
        return project.state_because or "Its repository is being cloned. Runs wait until then."
    if project.unreachable and (last is None or last.status not in LIVE):
        return f"{project.origin_because} Runs start again when it is back."
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
    return f"Last: {_ending(last)}"


def _nothing_yet(project: ProjectOut) -> str:
    if project.ready_count == 0 and project.archived_at is None:
        return "Nothing ready. Label an issue ready-for-agent to start."
    return "No runs yet."


def _ending(last: LastRun) -> str:
    after = ""
    if last.started_at is not None and last.ended_at is not None:
        after = f" after {took((last.ended_at - last.started_at).total_seconds())}"
    ended_well = last.status is Status.SUCCEEDED
    more = last.title if ended_well else (last.because or last.title)
    return f"{last.label}{after}" + (f" · {more}" if more else "")


def wants_person(project: ProjectOut) -> bool:
    """True where nothing goes on until somebody does something."""
    needs_act = project.paused or project.unreachable or project.state == "broken"
    return project.archived_at is None and (needs_act or not project.agent_ready)


class NeedKind(StrEnum):
    """What waits for a person, the gravest first."""

    BROKEN = "broken"
    UNREACHABLE = "unreachable"
    PAUSED = "paused"
    AGENT = "without agent"
    STUCK = "stuck"
    PARKED = "parked"


@dataclass(frozen=True)
class Need:
    """What waits for a person: why, in words, where that is seen to, and how much it counts."""

    kind: NeedKind
    name: str
    words: str
    path: str
    weight: int = 1


def needs_of(project: ProjectOut) -> list[Need]:
    """What a project wants of a person; a branch that is parked waits, whatever else does."""
    path, name, parked = f"/projects/{project.id}", project.name, project.parked_count
    if project.archived_at is not None:
        return []
    needs = []
    if project.state == "broken":
        needs.append(Need(NeedKind.BROKEN, name, "broken", path))
    elif project.unreachable:
        needs.append(Need(NeedKind.UNREACHABLE, name, "repository unreachable", path))
    elif project.paused:
        needs.append(Need(NeedKind.PAUSED, name, f"paused · {project.strikes} fails", path))
    elif not project.agent_ready:
        needs.append(Need(NeedKind.AGENT, name, f"{project.agent} not ready", path))
    if project.stuck:
        count = len(project.stuck)
        needs.append(Need(NeedKind.STUCK, name, f"{count} stuck", _way_to(project), count))
    if parked:
        needs.append(Need(NeedKind.PARKED, name, f"{parked} parked", "/parked", parked))
    return needs


def _way_to(project: ProjectOut) -> str:
    """Where that is seen to which Runyard cannot go on with: a run's page, else doctor's lines."""
    run_id = project.stuck[0].run_id
    return f"/runs/{run_id}" if run_id else "/settings"


class Act(StrEnum):
    """What can be pressed on a project, by its test id."""

    RESET = "reset"
    START = "start-afk"
    AUTO = "auto-toggle"
    UNDO = "sandbox-undo"
    DISMISS = "sandbox-dismiss"


@dataclass(frozen=True)
class Press:
    """A button: `head`, `rest` where there is room for it, `tail`, and a `note` behind them.

    `is_weak`: greyed, it still answers; `is_busy`: what it does is going on.
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
    """The buttons of a project; `busy` are the words for what is going on."""
    if project.archived_at is not None or project.state == "broken":
        return []
    on = project.auto_enabled
    presses = [
        Press(
            Act.START, "Start", " AFK run", note=ready_note(project), is_weak=not can_start(project)
        ),
        Press(Act.AUTO, "Auto", " AFK runs", f": {'On' if on else 'Off'}", tone="on" if on else ""),
    ]
    if project.paused or Act.RESET in busy:
        presses.insert(0, Press(Act.RESET, "Reset", tone="pri"))
    return [
        replace(one, head=busy[one.act], rest="", tail="", is_busy=True) if one.act in busy else one
        for one in presses
    ]


def can_start(project: ProjectOut) -> bool:
    """False only where it is known that no issue is ready, or that none could be started."""
    return project.ready_count != 0 and not project.unreachable and project.agent_ready


def issue_choices(issues: Iterable[IssueOut]) -> dict[int, str]:
    """Open issues by number to choose from, claimable ones first; others say why they wait."""
    still_open = [issue for issue in issues if issue.state == "open"]
    return {
        issue.number: f"#{issue.number} {issue.title}"
        + (f" — {issue.hold}" if issue.hold and not issue.claimable else "")
        for issue in sorted(still_open, key=lambda i: (not i.claimable, i.number))
    }


def ready_note(project: ProjectOut) -> str:
    """`(4 ready)`; nothing while it is not known."""
    return "" if project.ready_count is None else f"({project.ready_count} ready)"


@dataclass(frozen=True)
class DrawnBar:
    """A run as a bar: height in tenths of the longest, its status, and both in words."""

    height: int
    status: Status
    title: str


def bars_of(project: ProjectOut) -> list[DrawnBar]:
    """The last runs, oldest first."""
    bars = project.recent_runs[:BARS]
    longest = max((bar.seconds or 0 for bar in bars), default=0)
    return [_drawn(bar, longest) for bar in reversed(bars)]


def _drawn(bar: Bar, longest: float) -> DrawnBar:
    height = round(10 * (bar.seconds or 0) / longest) if longest else 0
    title = bar.label if bar.seconds is None else f"{bar.label} · {took(bar.seconds)}"
    return DrawnBar(max(1, height) if bar.seconds else 0, bar.status, title)


def bars_in_words(project: ProjectOut) -> str:
    """The bars for who cannot see them: `Last 3 runs: 2 Succeeded, 1 Died`."""
    labels = Counter(bar.label for bar in project.recent_runs[:BARS])
    counted = ", ".join(f"{n} {label}" for label, n in labels.most_common())
    return f"Last {sum(labels.values())} runs: {counted}" if labels else "No runs yet"
