"""Changes of an issue that one press makes."""

from __future__ import annotations

from typing import Any

from app.api.schemas import IssueOut
from app.domain.words import READY_LABEL


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
