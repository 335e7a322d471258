"""The view of a change that the parts of its page draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.pages.components.markup import plain_html
from app.state.review.change_record import ChangeSnapshot


@dataclass(frozen=True)
class ChangeView:
    """A change with what belongs to it; `prose` has the HTML of what people and agents wrote."""

    snapshot: ChangeSnapshot
    prose: Mapping[str, str]

    def prose_of(self, words: str) -> str:
        """Return words as HTML, their Markdown shown if it was read."""
        return self.prose.get(words) or f"<p>{plain_html(words)}</p>"

    def counts(self) -> dict[str, int]:
        """Return the number that each tab shows."""
        snapshot = self.snapshot
        said = sum(bool(one.final_message) for one in snapshot.reports.values())
        return {
            "Conversation": said
            + sum(not one.draft for one in snapshot.comments)
            + sum(bool(one.text) for one in snapshot.requests),
            "Files": snapshot.change.files_changed,
            "Checks": len(snapshot.last_checks),
            "Runs": len(snapshot.runs),
        }
