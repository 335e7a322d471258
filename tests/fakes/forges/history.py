"""The histories of a forge twin's issues: events in the timeline, and versions of texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
PAGE = re.compile(r"/([^/]+/[^/]+)/issues/(\d+)/content-history/overview")


@dataclass
class History:
    """What happened to the issues of one repository."""

    person: Callable[[str], Row]
    stamp: Callable[[], str]
    timelines: dict[int, list[Row]] = field(default_factory=dict)
    # how many texts an issue had, if its text was ever changed
    versions: dict[int, int] = field(default_factory=dict)
    # when these texts were changed, and by whom
    edits: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    # whether the web side tells how many there were
    tells_versions: bool = True
    last: int = 0

    def add(self, issue: Row, kind: str, by: str, at: str = "", **told: Any) -> None:
        """Add an event, which touches the issue."""
        self.last += 1
        when = at or self.stamp()
        row = {"id": issue["id"] * 1000 + self.last, "type": kind, "user": self.person(by)}
        row |= {"body": "", "old_title": "", "new_title": "", "label": None} | told
        row |= {"created_at": when, "updated_at": when}
        self.timelines.setdefault(issue["number"], []).append(row)
        issue["updated_at"] = when

    def edit(self, issue: Row, by: str, texts: Mapping[str, str], at: str = "") -> None:
        """Change title or body; the timeline tells of a title only."""
        if "title" in texts:
            told = {"old_title": issue["title"], "new_title": texts["title"]}
            self.add(issue, "change_title", by, at, **told)
        if "body" in texts:
            number = issue["number"]
            self.versions[number] = self.versions.get(number, 1) + 1
            self.edits.setdefault(number, []).append((at or self.stamp(), by))
        issue |= {**texts, "updated_at": at or self.stamp()}

    def overview(self, number: int) -> tuple[int, Any]:
        """Return what the web side tells of how often a text was changed."""
        if not self.tells_versions:
            return 404, b"<html>Not Found</html>"
        counts = {"0": self.versions[number]} if number in self.versions else {}
        return 200, {"editedHistoryCountMap": counts, "i18n": {"textEdited": "edited"}}
