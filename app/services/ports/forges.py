"""What the services ask of a tracker, and the built-in tracker of its store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from app.services.ports.repositories import DiffStat, Repository


@dataclass(frozen=True)
class Issue:
    """An issue as a tracker tells it; `state` is `open` or `closed`."""

    number: int
    title: str
    body: str
    labels: tuple[str, ...]
    state: str
    url: str | None = None


@dataclass(frozen=True)
class Delivery:
    """A change or pull request; `kind` is `change` or `pull_request`."""

    kind: str
    number: int
    url: str
    state: str
    branch: str
    head_sha: str
    stat: DiffStat


@dataclass(frozen=True)
class ChangeOrder:
    """A change request to open for a run."""

    run_id: str
    title: str
    body: str
    base: str
    branch: str
    base_sha: str
    head_sha: str
    stat: DiffStat
    closes: int | None


class ForgeSilent(Exception):
    """The tracker did not answer; nothing may be concluded."""


class Forge(Protocol):
    """A tracker: issues and change requests of one project."""

    def issue(self, repo: Repository, number: int) -> Issue | None:
        """One issue. Raises ForgeSilent."""
        ...

    def delivery_of(self, repo: Repository, run_id: str, branch: str) -> Delivery | None:
        """The change request this run opened, unless closed unmerged. Raises ForgeSilent."""
        ...

    def open_change(self, repo: Repository, order: ChangeOrder, *, now: datetime) -> Delivery:
        """Open a change request for the run, or answer the one it has. Raises ForgeSilent."""
        ...


class TrackerStore(Protocol):
    """Where the built-in tracker keeps its issues and change requests."""

    def issue(self, project_id: str, number: int) -> Any:
        """The issue's row, or None."""
        ...

    def change_of_run(self, run_id: str) -> Any:
        """The row of the change request a run opened, or None."""
        ...

    def open_change(self, **columns: Any) -> Any:
        """Open a change request under the project's next number, or answer the run's own."""
        ...
