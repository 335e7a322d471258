"""What the services ask of a tracker, and the built-in tracker of its store."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
    created_at: datetime | None = None
    closed_at: datetime | None = None


@dataclass(frozen=True)
class Ready:
    """What a sweep needs of one project.

    `issues` are open and labelled ready, lowest number first; `open_numbers` holds at least every
    open issue that one of their texts names; `changes` are open requests, numbers by head branch.
    """

    issues: tuple[Issue, ...]
    open_numbers: frozenset[int]
    changes: Mapping[str, int]


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
    """The tracker gave no answer that can be relied on; nothing may be concluded from it.

    So are a timeout, a lost connection, any 5xx, a 429, a 401 or 403, and content that is not
    what was asked for (a proxy's HTML, half a JSON, a redirect to another host).
    `retry_after` is the number of seconds the tracker wants to be left alone for, None where it
    did not say; `needs_attention` is True where only a person can mend it (a token that is
    refused): asking again is then of no use.
    """

    def __init__(
        self,
        because: str = "the tracker did not answer",
        *,
        retry_after: int | None = None,
        needs_attention: bool = False,
    ) -> None:
        self.retry_after = retry_after
        self.needs_attention = needs_attention
        super().__init__(because)


class Forge(Protocol):
    """A tracker: issues and change or pull requests.

    Lists are whole: a tracker that hands them out page by page is asked for every page, and one
    page that is missing makes the answer ForgeSilent. Labels are compared as they are written.
    A pull request is never an issue, though a tracker may number and list both together. Texts
    and links are told as they came: who shows them cleans them.
    """

    def issue(self, repo: Repository, number: int) -> Issue | None:
        """One issue; None where the tracker says that there is none. Raises ForgeSilent."""
        ...

    def issues(self, repo: Repository) -> list[Issue]:
        """Every issue, the closed ones too, lowest number first. Raises ForgeSilent."""
        ...

    def open_among(self, repo: Repository, numbers: Collection[int]) -> frozenset[int]:
        """Which of these numbers are open issues. Raises ForgeSilent."""
        ...

    def known_among(self, repo: Repository, numbers: Collection[int]) -> frozenset[int]:
        """Which of these numbers anything there has, open or closed. Raises ForgeSilent."""
        ...

    def open_changes(self, repo: Repository) -> Mapping[str, int]:
        """The numbers of open change requests, drafts too, by head branch. Raises ForgeSilent.

        A request whose head is in a fork has no branch here and is left out.
        """
        ...

    def ready_issues(self, repos: Collection[Repository]) -> dict[Repository, Ready | None]:
        """What could be started in many projects at once; None where the tracker was silent.

        Never raises ForgeSilent: one silent project does not keep the others from an answer.
        """
        ...

    def delivery_of(
        self, repo: Repository, run_id: str, branch: str, *, since: datetime | None = None
    ) -> Delivery | None:
        """The change request by which this run has delivered. Raises ForgeSilent.

        It is open or merged; a draft, one closed unmerged, and one of another run are none.
        Where a tracker does not know runs: the newest on this head branch of the repository
        itself that was opened at `since` (UTC) or later. A branch without one proves nothing.
        """
        ...

    def open_change(self, repo: Repository, order: ChangeOrder, *, now: datetime) -> Delivery:
        """Open a change request for the run, or answer the one it has. Raises ForgeSilent.

        May be asked again after an answer that was lost: there is never a second one.
        """
        ...


class TrackerStore(Protocol):
    """Where the built-in tracker keeps its issues and change requests."""

    def issue(self, project_id: str, number: int) -> Any:
        """The issue's row, or None."""
        ...

    def issues(self, project_id: str) -> list[Any]:
        """A project's issues, lowest number first."""
        ...

    def ready_of(self, project_ids: Collection[str], label: str) -> dict[str, list[Any]]:
        """Open issues with a label, lowest number first, by project."""
        ...

    def open_numbers_of(self, project_ids: Collection[str]) -> dict[str, set[int]]:
        """Numbers of open issues, by project."""
        ...

    def numbers_among(self, project_id: str, numbers: Collection[int]) -> set[int]:
        """Which of these numbers an issue or a change request has."""
        ...

    def open_changes_of(self, project_ids: Collection[str]) -> dict[str, dict[str, int]]:
        """Numbers of open change requests by branch, by project."""
        ...

    def change_of_run(self, run_id: str) -> Any:
        """The row of the change request a run opened, or None."""
        ...

    def open_change(self, **columns: Any) -> Any:
        """Open a change request under the project's next number, or answer the run's own."""
        ...
