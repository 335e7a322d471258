"""What a project's card says: its status, one sentence, its bars (ui.md, Project card)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from app.api.schemas import Bar, LastRun, ProjectOut
from app.domain.lifecycle import LIVE, WAITING
from app.domain.words import Status
from app.state.durations import took

BARS = 10


@dataclass(frozen=True)
class CardStatus:
    """The pill: words, a tone, and the moment from which a clock runs behind them."""

    words: str
    tone: str
    since: datetime | None = None


def status_of(project: ProjectOut) -> CardStatus:
    """The one thing to know of a project; what stops everything else comes first."""
    if project.archived_at is not None:
        return CardStatus("Archived", "idle")
    if project.state == "cloning":
        percent = project.clone_percent
        return CardStatus("Cloning…" if percent is None else f"Cloning {percent} %", "acc")
    if project.state == "broken":
        return CardStatus("Broken", "stop")
    last = project.last_run
    if last is not None and last.status in LIVE:
        return _live(last)
    if project.live_runs:
        return CardStatus("Running", "acc")
    if project.paused:
        return CardStatus(f"Auto paused · {project.strikes} fails", "stop")
    if last is not None and last.status in WAITING:
        return CardStatus(last.label, "wait")
    return CardStatus("Idle", "idle")


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
    if last is None:
        return project.hold or "No runs yet."
    what = " · ".join(part for part in (last.work_branch, last.title) if part)
    if last.status in LIVE:
        return what
    if last.status in WAITING:
        return f"{what} · {project.hold}" if project.hold else what
    return f"Last: {_ending(last)}"


def _ending(last: LastRun) -> str:
    after = ""
    if last.started_at is not None and last.ended_at is not None:
        after = f" after {took((last.ended_at - last.started_at).total_seconds())}"
    ended_well = last.status is Status.SUCCEEDED
    more = last.title if ended_well else (last.because or last.title)
    return f"{last.label}{after}" + (f" · {more}" if more else "")


def wants_person(project: ProjectOut) -> bool:
    """True where nothing goes on until somebody does something."""
    return project.archived_at is None and (project.paused or project.state == "broken")


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
