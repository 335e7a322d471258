"""The questions of the dialogs of a change, and their sentences."""

from __future__ import annotations

from dataclasses import dataclass

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ChangeOut, ProjectOut
from app.domain.words import AfterClose

NO_ANSWER = "The server did not answer. Retry sends the same key, so nothing can start twice."


@dataclass(frozen=True)
class AskedChange:
    """A change as a dialog needs it.

    `origin` is where its base is, `closes` its issue, `drafts` counts this person's comments that
    are not sent.
    """

    project_id: str
    number: int
    title: str
    branch: str
    base: str
    commits: int
    origin: str
    closes: int | None = None
    drafts: int = 0

    def is_same(self, other: AskedChange) -> bool:
        """Return True for the same change, whatever has become of it."""
        return (self.project_id, self.number) == (other.project_id, other.number)


def asked_of(project: ProjectOut, change: ChangeOut, drafts: int = 0) -> AskedChange:
    """Return a change of a project as a dialog needs it."""
    return AskedChange(
        project.id,
        change.number,
        change.title,
        change.branch,
        change.base,
        change.commits,
        project.origin,
        change.closes,
        drafts,
    )


def close_choices(closes: int | None) -> dict[AfterClose, str]:
    """Return what can become of the issue of a closed change, the usual choice first."""
    if closes is None:
        return {}
    return {
        AfterClose.QUEUE: f"Put issue #{closes} back in the queue and delete the branch",
        AfterClose.PARK: f"Keep the branch, and issue #{closes} out of the queue",
        AfterClose.CLOSE: f"Keep the branch, and close issue #{closes} too",
    }


def comments_words(count: int) -> str:
    """Return `1 line comment` or `2 line comments`."""
    return f"{count} line comment{'s' * (count != 1)}"


def drops_words(drafts: int) -> str:
    """Return what a merge does to comments that were not sent; empty without any."""
    if not drafts:
        return ""
    was, them = ("was", "it") if drafts == 1 else ("were", "them")
    return f"Your {comments_words(drafts)} {was} not sent. A merge drops {them}."


def too_late_words(state: str) -> str:
    """Return why words to the agent cannot be sent once a change was merged or closed."""
    return f"Not sent: this change was {state} meanwhile. Copy your words if you still need them."


def refusal_words(problem: ApiProblem | NoAnswer) -> str:
    """Return why a request was not sent."""
    return problem.detail if isinstance(problem, ApiProblem) else NO_ANSWER
