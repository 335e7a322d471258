"""A run in a list in words: its title, its agent, and the reason beside its status."""

from __future__ import annotations

import re

from app.api.schemas import RunItem
from app.domain.ids import shorten
from app.domain.words import Cause, Phase, Status
from app.state.runs.run_board import BoardRow, Submitting

MAX_TITLE = 120
MAX_REASON = 120
_EXITED = re.compile(r"\Aagent exited (\d+)\b")
# what follows is the agent's evidence or advice: the run's page has it
_FIRST = re.compile(r"[.;:] |[.;:]\Z|\n")
# words of the label that a reason would repeat
_REPEATED = re.compile(r"\A(stopped|expired|timed out|usage limit)[ ,:]+", re.IGNORECASE)
AGAIN = {2: "2nd try", 3: "3rd try"}


def title_of(row: BoardRow) -> str:
    """Return the first line of a run's title, or what stands for it."""
    words = row.title.strip().partition("\n")[0]
    if not words and row.issue:
        words = f"Issue #{row.issue}"
    if not words:
        words = "New run" if isinstance(row, Submitting) else f"Run {shorten(row.id)}"
    return words if len(words) <= MAX_TITLE else words[: MAX_TITLE - 1] + "…"


def agent_of(row: BoardRow) -> str:
    """Return `codex`, or `claude · sonnet` if a model was chosen."""
    return " · ".join(part for part in (row.agent, row.model or "") if part)


def reason_of(run: RunItem) -> str:
    """Return the words beside a run's status: why it waits, ended so, or what try it is."""
    if run.phase is Phase.WAITING:
        return _first_of(run.hold or "")
    if run.phase is Phase.LIVE:
        return _first_of(run.hold or "") or _try_of(run)
    if run.status is Status.SUCCEEDED:
        return _success_of(run)
    return _first_of(_REPEATED.sub("", run.because or ""))


def _success_of(run: RunItem) -> str:
    if run.cause is Cause.DELIVERED_RED:
        return "checks are red"
    if run.delivery is not None:
        what = "change" if run.delivery.kind == "change" else "pull request"
        return f"{what} {run.delivery.number}"
    return "report only" if run.cause is Cause.REPORTED else ""


def _try_of(run: RunItem) -> str:
    if run.resumes:
        return AGAIN.get(run.resumes + 1, f"{run.resumes + 1}th try")
    return retry_words(run)


def retry_words(row: BoardRow) -> str:
    """Return `retry of …9d1f2a` for a retry, "" for any other run."""
    return f"retry of {shorten(row.retry_of)}" if row.retry_of else ""


def _first_of(words: str) -> str:
    """Return the first clause of a sentence, as it stands behind a label."""
    words = _EXITED.sub(r"agent exited with code \1", words.strip())
    words = _FIRST.split(words, maxsplit=1)[0].strip()
    if words[:1].isupper() and not words[1:2].isupper():
        words = words[:1].lower() + words[1:]
    return words if len(words) <= MAX_REASON else words[: MAX_REASON - 1] + "…"
