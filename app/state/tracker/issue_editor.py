"""An issue editor that detects concurrent edits, so that no text is lost unseen."""

from __future__ import annotations

from typing import Any

from app.api.client.client import ApiProblem
from app.api.schemas import IssueOut
from app.domain.json.objects import is_object

EDITED_MEANWHILE = "edited_meanwhile"
MAX_TITLE = 300


class IssueEditor:
    """Current input, the text it started from, and `theirs`: a newer version by someone else."""

    def __init__(self, issue: IssueOut) -> None:
        self.title, self.body = issue.title, issue.body
        self._seen = {"title": issue.title, "body": issue.body}
        self.theirs: dict[str, str] | None = None

    @property
    def wrong(self) -> str | None:
        """The error of the title, None if it is valid."""
        if not self.title.strip():
            return "An issue needs a title."
        if len(self.title.strip()) > MAX_TITLE:
            return f"A title has at most {MAX_TITLE} characters."
        return None

    @property
    def is_changed(self) -> bool:
        """True if the input differs from the text it started from."""
        return self._typed() != self._seen

    def change(self) -> dict[str, Any]:
        """Return the changed fields for the API, with the values seen before in `was`."""
        changed = {
            name: value for name, value in self._typed().items() if value != self._seen[name]
        }
        return changed | {"was": {name: self._seen[name] for name in changed}}

    def notice(self, problem: ApiProblem) -> bool:
        """Return True for a refusal due to a concurrent edit, and store that edit in `theirs`."""
        stands = problem.members.get("stands")
        if problem.code != EDITED_MEANWHILE or not is_object(stands):
            return False
        self.theirs = {name: str(stands.get(name, "")) for name in self._seen}
        return True

    def keep_mine(self) -> None:
        """Overwrite their version with the input; keep their version of untouched fields."""
        if self.theirs is not None:
            typed, seen = self._typed(), self._seen
            self._seen, self.theirs = self.theirs, None
            if typed["title"] == seen["title"]:
                self.title = self._seen["title"]
            if typed["body"] == seen["body"]:
                self.body = self._seen["body"]

    def take_theirs(self) -> None:
        """Discard the input and continue from their version."""
        if self.theirs is not None:
            self._seen, self.theirs = self.theirs, None
            self.title, self.body = self._seen["title"], self._seen["body"]

    def _typed(self) -> dict[str, str]:
        return {"title": self.title.strip(), "body": self.body}
