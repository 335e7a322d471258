"""A change in words: its pill, its facts, and why it cannot be merged now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from app.api.schemas import ChangeFile, ChangeOut, RunCheck, RunItem
from app.domain.text.durations import rough_words
from app.domain.tracker.ci import CiState
from app.domain.tracker.merge_waits import WAIT_LABELS, WAIT_WORDS
from app.domain.words import CheckStatus, Phase
from app.state.review.change_record import ChangeSnapshot

# of a summary in one line; the page cuts it where it is wide enough
LONGEST_LINE = 400
RED = {CheckStatus.FAILED, CheckStatus.ERROR, CheckStatus.TIMED_OUT, CheckStatus.STOPPED}

# what CI at the forge said, and its tone; nothing where it said nothing
CI_WORDS = {
    CiState.PASSED: ("CI passed", "go"),
    CiState.PENDING: ("CI running", "acc"),
    CiState.FAILED: ("CI failed", "stop"),
}


def state_of(change: ChangeOut) -> tuple[str, str]:
    """Return a change's state in words, and its tone; of what is so, what needs a person first."""
    if change.state == "merged":
        return "Merged", "go"
    if change.state == "closed":
        return "Closed", "idle"
    if change.conflicts:
        return "Conflicts", "wait"
    if change.merge_waits is not None:
        return WAIT_LABELS[change.merge_waits], "acc"
    return ("Draft", "wait") if change.draft else ("In review", "go")


def runs_words(runs: Sequence[RunItem]) -> str:
    """Return `Run, 12 min` or `2 runs, 15 min`; empty without runs."""
    if not runs:
        return ""
    name = "Run" if len(runs) == 1 else f"{len(runs)} runs"
    if any(run.phase is not Phase.DONE for run in runs):
        return f"{name}, working"
    return f"{name}, {rough_words(sum(map(seconds_of, runs)))}"


def seconds_of(run: RunItem) -> float:
    """Return how long a run's agent worked, 0 until it ended."""
    if run.started_at is None or run.ended_at is None:
        return 0.0
    return max(timedelta(), run.ended_at - run.started_at).total_seconds()


def cost_of(runs: Sequence[RunItem]) -> str:
    """Return `$0.45`, with `+` where a run told no cost; empty if none did."""
    told = [run.usage.cost_usd for run in runs if run.usage.cost_usd is not None]
    if not told:
        return ""
    return f"${sum(told):.2f}{'+' if len(told) < len(runs) else ''}"


def run_facts(run: RunItem) -> str:
    """Return `3 min · $0.07` of a run that ended, else its label."""
    if run.phase is not Phase.DONE:
        return run.label
    return " · ".join(one for one in (rough_words(seconds_of(run)), cost_of([run])) if one)


def checks_words(checks: Sequence[RunCheck]) -> tuple[str, str]:
    """Return a round of checks in words (`3 checks passed`), and its tone; empty without checks."""
    if not checks:
        return "", ""
    count = f"{len(checks)} check{'s' * (len(checks) != 1)}"
    if any(one.status is CheckStatus.RUNNING for one in checks):
        return f"{count} running", "acc"
    red = [one for one in checks if one.status in RED]
    if not red:
        return f"{count} passed", "go"
    is_required = any(one.required for one in red)
    words = f"{len(red)} of {count} failed" if len(checks) > 1 else "1 check failed"
    return words, "stop" if is_required else "wait"


def viewed_words(files: Sequence[ChangeFile] | None) -> tuple[str, bool]:
    """Return `2 of 6 files viewed`, and True if that is all of them."""
    if not files:
        return "", False
    viewed = sum(one.viewed for one in files)
    noun = "file" if len(files) == 1 else "files"
    return f"{viewed} of {len(files)} {noun} viewed", viewed == len(files)


def comments_state(snapshot: ChangeSnapshot) -> tuple[str, bool]:
    """Return what became of comments, and True if none of them waits for anybody."""
    drafts = len(snapshot.drafts)
    if drafts:
        return f"{drafts} comment{'s' * (drafts != 1)} not sent yet", False
    sent = sum(one.round is not None for one in snapshot.comments)
    if not sent:
        return "", True
    words = f"{sent} comment{'s' * (sent != 1)} sent"
    if snapshot.live is not None:
        return f"{words}, the agent works on it", False
    return words, True


def run_name(snapshot: ChangeSnapshot, run: RunItem) -> str:
    """Return a run's name on its change: `First run`, `Follow-up` or `Follow-up 2`."""
    if run is snapshot.first:
        return "First run"
    later = [one for one in snapshot.runs if one is not snapshot.first]
    return "Follow-up" if len(later) == 1 else f"Follow-up {later.index(run) + 1}"


def why_not_merged(snapshot: ChangeSnapshot, *, is_archived: bool) -> str:
    """Return why an open change cannot be merged now; empty if it can."""
    if is_archived:
        return "The project is archived. Unarchive it first."
    if snapshot.change.conflicts and snapshot.change.reverts is not None:
        return f"Close this, then undo change {snapshot.change.reverts} again."
    if snapshot.change.conflicts:
        return "Resolve the conflicts first."
    if snapshot.change.merge_waits is not None:
        return f"{WAIT_WORDS[snapshot.change.merge_waits]}."
    return ""


def merged_words(change: ChangeOut) -> str:
    """Return what became of a change that a person merged."""
    if change.merge_waits is not None:
        return f"{WAIT_WORDS[change.merge_waits]}."
    return f"Merged into {change.base}"


def can_be_undone(change: ChangeOut) -> bool:
    """Return True for a merged change that nothing takes back yet."""
    return change.state == "merged" and change.merged_sha is not None and change.undone_by is None


def undo_words(change: ChangeOut) -> str:
    """Return what Undo does; empty where there is nothing to undo."""
    if not can_be_undone(change):
        return ""
    stays = f" Issue #{change.closes} stays closed." if change.closes is not None else ""
    return f"Undo opens a change that takes it back once you merge that.{stays}"


def merge_note(snapshot: ChangeSnapshot) -> str:
    """Return what a person should know before a merge that is possible."""
    if snapshot.change.draft:
        return "A draft: required checks did not pass."
    if snapshot.live is not None:
        return "An agent works on this change; its next commits would not be in the merge."
    return ""


def first_sentence(words: str) -> str:
    """Return the first paragraph that is no heading, on one line, without the marks of Markdown."""
    for paragraph in words.split("\n\n"):
        lines = [line for line in paragraph.splitlines() if not line.startswith(("#", "```", "|"))]
        if line := " ".join(" ".join(lines).replace("**", "").replace("`", "").split()):
            return line[:LONGEST_LINE]
    return ""
