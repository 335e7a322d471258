"""Claims as the issue at a forge tells them: a label, and one comment for each run."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.ids import shorten
from app.domain.projects.setting import Kind, Part, ProjectSetting
from app.domain.words import Status

CLAIM_LABEL = "agent-working"
NO_READY_LABEL = "No label ready-for-agent"
RENAMED = "renamed to "
MAX_LABEL = 50
_ENDS = {
    Status.SUCCEEDED: "succeeded",
    Status.DIED: "failed",
    Status.TIMED_OUT: "ran out of time",
    Status.LIMITED: "ended at a usage limit",
    Status.STOPPED: "was stopped",
    Status.NOT_STARTED: "could not be started",
    Status.EXPIRED: "was not started in time",
}

CLAIM_SETTINGS = (
    ProjectSetting(
        name="claim_label",
        kind=Kind.LINE,
        means="The label that an issue at a forge has while a run works on it",
        more="It is created if it is missing. Empty: no label.",
        default=CLAIM_LABEL,
        label="Label of issues being worked on",
        hint="At a forge, an issue has it while a run works on it. Empty: no label.",
        empty="no label",
        part=Part.NAMES,
        most=MAX_LABEL,
    ),
    ProjectSetting(
        name="tell_claims",
        kind=Kind.SWITCH,
        means="Whether Runyard comments on issues at a forge about the runs that work on them",
        more="Each run has one comment.",
        default=True,
        label="Tell issues at a forge",
        hint="Of runs that work on them, by the label and one comment for each run.",
        part=Part.NAMES,
        beside=True,
        labels={"yes": "Tell them", "no": "Say nothing there"},
    ),
)


@dataclass(frozen=True)
class Outcome:
    """How a run has ended; `number` and `url` are those of the pull request it delivered."""

    status: Status
    number: int | None = None
    url: str = ""
    is_kept: bool = False


def working_text(run_id: str) -> str:
    """Return what an issue is told while a run works on it."""
    return f"Runyard is working on this: run {shorten(run_id)}"


def outcome_text(run_id: str, outcome: Outcome) -> str:
    """Return what it is told of the end of a run."""
    end = f"Run {shorten(run_id)} of Runyard {_ENDS.get(outcome.status, str(outcome.status))}"
    if outcome.number is not None:
        return f"{end}: pull request {_linked(outcome.number, outcome.url)}"
    kept = "its work waits for a person" if outcome.is_kept else "nothing was delivered"
    return f"{end}; {kept}"


def renamed_words(full_name: str) -> str:
    """Return the hold of a project whose repository has another name at its forge."""
    return f"{RENAMED}{full_name}"


def _linked(number: int, url: str) -> str:
    is_link = url.startswith(("https://", "http://")) and not set(url) & set(" ()<>\n\r\t")
    return f"[#{number}]({url})" if is_link else f"#{number}"
