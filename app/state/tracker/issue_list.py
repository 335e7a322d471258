"""A project's issues as one person sees them: filtered rows and pending changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from app.api.schemas import IssueOut
from app.domain.issues import queue_order
from app.domain.words import READY_LABEL
from app.state.page.optimistic import OptimisticRows

Send = Callable[[dict[str, Any]], Awaitable[IssueOut]]


@dataclass(frozen=True)
class IssueFilter:
    """The filter of an issue list; kept in the page's URL."""

    closed: bool = False
    ready: bool = False

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> IssueFilter:
        """Parse the filter from the query of a URL."""
        return cls(query.get("state") == "closed", query.get("ready") == "yes")

    def address(self, query: Mapping[str, str]) -> str:
        """Return the page's URL query with this filter; `query` is the current one."""
        rest = {name: value for name, value in query.items() if name not in ("state", "ready")}
        if self.closed:
            rest["state"] = "closed"
        elif self.ready:
            rest["ready"] = "yes"
        return f"?{urlencode(rest)}"

    def lets(self, issue: IssueOut) -> bool:
        """Return True if an issue is shown."""
        if self.closed:
            return issue.state == "closed"
        return issue.state == "open" and (issue.ready or not self.ready)


def toggled_ready(issue: IssueOut) -> dict[str, Any]:
    """Return the change that adds or removes the ready label."""
    others = [label for label in issue.labels if label != READY_LABEL]
    return labelled(issue, others if issue.ready else [*others, READY_LABEL])


def labelled(issue: IssueOut, labels: list[str]) -> dict[str, Any]:
    """Return the change of an issue's labels; labels set by others are never overwritten."""
    return {"labels": labels, "was": {"labels": issue.labels}}


def turned(issue: IssueOut) -> dict[str, Any]:
    """Return the change that closes or reopens an issue."""
    return {"state": "closed" if issue.state == "open" else "open"}


class IssueList:
    """The list with its counts; changes show at once and are rolled back if they fail."""

    def __init__(self, filter_: IssueFilter) -> None:
        self.filter = filter_
        self.is_known = False
        self._rows: OptimisticRows[IssueOut] = OptimisticRows(_key_of, lambda one: -one.number)

    def load(self, issues: Iterable[IssueOut]) -> None:
        """Replace the issues by those of the server."""
        self._rows.load(issues)
        self.is_known = True

    def shown(self) -> list[IssueOut]:
        """Return the issues that the filter shows: open ones in the queue's order."""
        shown = [one for one in self._rows.visible() if self.filter.lets(one)]
        return shown if self.filter.closed else sorted(shown, key=queue_order)

    def word_of(self, issue: IssueOut) -> str:
        """Return the busy word of an issue with a pending change."""
        return self._rows.word_of(_key_of(issue))

    @property
    def is_empty(self) -> bool:
        """True if the project has no issue at all."""
        return not self._rows.visible()

    @property
    def counts(self) -> dict[str, int]:
        """The number of `open`, `closed`, `ready` and `claimable` issues."""
        issues = self._rows.visible()
        opened = [one for one in issues if one.state == "open"]
        return {
            "open": len(opened),
            "closed": len(issues) - len(opened),
            "ready": sum(one.ready for one in opened),
            "claimable": sum(one.claimable for one in opened),
        }

    async def change(
        self, issue: IssueOut, change: dict[str, Any], send: Send, show: Callable[[], None]
    ) -> IssueOut | None:
        """Change an issue, with a busy word on its row; None while it has a pending change.

        Raises what `send` raises, after a rollback.
        """
        return await self._rows.attempt(issue, lambda: send(change), word="Saving…", show=show)


def _key_of(issue: IssueOut) -> str:
    return str(issue.number)
