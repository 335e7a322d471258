"""Editing an issue's text while others may, too: nobody's words are lost unseen."""

from __future__ import annotations

from typing import Any

from app.api.client.client import ApiProblem
from app.api.schemas import IssueOut

EDITED_MEANWHILE = "edited_meanwhile"
MAX_TITLE = 300


class IssueEditor:
    """What is typed, what it was begun with, and what somebody else has put there since."""

    def __init__(self, issue: IssueOut) -> None:
        self.title, self.body = issue.title, issue.body
        self._seen = {"title": issue.title, "body": issue.body}
        self.theirs: dict[str, str] | None = None

    @property
    def wrong(self) -> str | None:
        """What is wrong with the title, if anything."""
        if not self.title.strip():
            return "An issue needs a title."
        if len(self.title.strip()) > MAX_TITLE:
            return f"A title has at most {MAX_TITLE} characters."
        return None

    @property
    def is_changed(self) -> bool:
        """True where something else is typed than what was seen."""
        return self._typed() != self._seen

    def change(self) -> dict[str, Any]:
        """What to send: the fields that were changed, each with what was seen there."""
        changed = {
            name: value for name, value in self._typed().items() if value != self._seen[name]
        }
        return changed | {"was": {name: self._seen[name] for name in changed}}

    def notice(self, problem: ApiProblem) -> bool:
        """True where a refusal says that somebody was faster; their words are then `theirs`."""
        stands = problem.members.get("stands")
        if problem.code != EDITED_MEANWHILE or not isinstance(stands, dict):
            return False
        self.theirs = {name: str(stands.get(name, "")) for name in self._seen}
        return True

    def keep_mine(self) -> None:
        """What is typed is meant to replace theirs, which was seen by now.

        What was left alone here stays as they have made it.
        """
        if self.theirs is not None:
            typed, seen = self._typed(), self._seen
            self._seen, self.theirs = self.theirs, None
            if typed["title"] == seen["title"]:
                self.title = self._seen["title"]
            if typed["body"] == seen["body"]:
                self.body = self._seen["body"]

    def take_theirs(self) -> None:
        """Go on from theirs; what was typed is given up."""
        if self.theirs is not None:
            self._seen, self.theirs = self.theirs, None
            self.title, self.body = self._seen["title"], self._seen["body"]

    def _typed(self) -> dict[str, str]:
        return {"title": self.title.strip(), "body": self.body}
