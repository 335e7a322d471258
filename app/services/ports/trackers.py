"""Ports to a tracker, and from the built-in tracker to its store."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from app.domain.words import Priority
from app.services.ports.repositories import DiffStat, Repository


@dataclass(frozen=True)
class Issue:
    """An issue as its tracker reports it; `state` is `open` or `closed`.

    `dependencies` are blockers that its tracker keeps beside the text, `blocked_elsewhere` the open
    ones of other repositories, as `owner/name#number`. `stranger` is its author, if that is
    somebody who may not write to the repository, and `doubt` why a person must look at its text
    before it starts by itself. `assignees` and `milestone` are for people.
    """

    number: int
    title: str
    body: str
    labels: tuple[str, ...]
    state: str
    url: str | None = None
    created_at: datetime | None = None
    closed_at: datetime | None = None
    priority: str = Priority.NORMAL
    rank: int | None = None
    dependencies: tuple[int, ...] = ()
    blocked_elsewhere: tuple[str, ...] = ()
    stranger: str = ""
    assignees: tuple[str, ...] = ()
    milestone: str = ""
    updated_at: datetime | None = None
    doubt: str = ""


@dataclass(frozen=True)
class Listed:
    """The issues of a repository: all that are open, and closed ones that changed lately."""

    open: tuple[Issue, ...]
    closed: tuple[Issue, ...]


@dataclass(frozen=True)
class Remark:
    """A comment on an issue, by a person that the tracker knows."""

    author: str
    body: str
    created_at: datetime


@dataclass(frozen=True)
class Unwanted:
    """A change for an issue that was closed without a merge, and why, empty if nobody said."""

    number: int
    because: str
    closed_at: datetime


@dataclass(frozen=True)
class Said:
    """The comments on an issue and the unwanted changes for it, oldest first.

    `others` are comments by people who may not write to the repository: a prompt has only those
    that a person ticked.
    """

    comments: tuple[Remark, ...] = ()
    unwanted: tuple[Unwanted, ...] = ()
    others: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class Ready:
    """Tracker data that a sweep needs for one project.

    `issues` are open and labelled ready, lowest number first; `open_numbers` holds at least every
    open issue named in their texts; `changes` maps head branches to numbers of open requests.
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
class Change:
    """A change or pull request on which a run can work; `state` is open, merged or closed.

    `closes` is the issue that its merge closes, if any, `reverts` the change that it takes back.
    """

    number: int
    title: str
    state: str
    base: str
    branch: str
    base_sha: str
    head_sha: str
    closes: int | None = None
    reverts: int | None = None


@dataclass(frozen=True)
class ChangeOrder:
    """A change request to open for a run; it opened none before `since` (UTC).

    With `adopts`, the run's agent has opened it: it gets the run's mark, and the `doubles` are
    closed.
    """

    run_id: str
    title: str
    body: str
    base: str
    branch: str
    base_sha: str
    head_sha: str
    stat: DiffStat
    closes: int | None
    draft: bool = False
    since: datetime | None = None
    adopts: int | None = None
    doubles: tuple[int, ...] = ()


class ForgeSilent(Exception):
    """The tracker gave no reliable answer; nothing may be concluded from it.

    Covers a timeout, a lost connection, any 5xx, 429, 401 or 403, and unexpected content (a
    proxy's HTML, truncated JSON, a redirect to another host). `retry_after` is the delay in
    seconds that the tracker asks for, None if it names none. `needs_attention` is True if only a
    person can fix it (a refused token), so that asking again is useless.
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
    """A tracker with issues and change or pull requests.

    Lists are complete: every page is fetched, and a missing page raises ForgeSilent. Labels are
    compared exactly. A pull request is never an issue, even if the tracker numbers and lists
    both together. Texts and links are returned as received: the display code sanitizes them.
    """

    def issue(self, repo: Repository, number: int) -> Issue | None:
        """Return one issue, None if the tracker says that there is none. Raises ForgeSilent."""
        ...

    def issues(self, repo: Repository) -> list[Issue]:
        """Return every issue, closed ones too, lowest number first. Raises ForgeSilent."""
        ...

    def said_about(self, repo: Repository, number: int) -> Said:
        """Return what people said about an issue. Raises ForgeSilent."""
        ...

    def open_among(self, repo: Repository, numbers: Collection[int]) -> frozenset[int]:
        """Return those of these numbers that are open issues. Raises ForgeSilent."""
        ...

    def known_among(self, repo: Repository, numbers: Collection[int]) -> frozenset[int]:
        """Return those of these numbers in use there, open or closed. Raises ForgeSilent."""
        ...

    def open_changes(self, repo: Repository) -> Mapping[str, int]:
        """Return numbers of open change requests, drafts too, by head branch. Raises ForgeSilent.

        A request whose head is in a fork has no branch here and is left out.
        """
        ...

    def ready_issues(self, repos: Collection[Repository]) -> dict[Repository, Ready | None]:
        """Return what many projects could start, None for each whose tracker was silent.

        Never raises ForgeSilent: one silent project does not block the others.
        """
        ...

    def delivery_of(
        self, repo: Repository, run_id: str, branch: str, *, since: datetime | None = None
    ) -> Delivery | None:
        """Return the change request by which this run delivered, or None. Raises ForgeSilent.

        It is open or merged: drafts, requests closed unmerged and those of other runs do not count.
        A tracker that does not know runs returns the newest request on this head branch of the
        repository itself, opened at `since` (UTC) or later. A bare branch proves nothing.
        """
        ...

    def change(self, repo: Repository, number: int) -> Change | None:
        """Return one change request, None if there is none. Raises ForgeSilent."""
        ...

    def update_change(
        self,
        repo: Repository,
        number: int,
        *,
        head_sha: str,
        stat: DiffStat,
        base_sha: str | None = None,
        draft: bool | None = None,
        note: str = "",
    ) -> Delivery | None:
        """Record the new head of a change request, None if it is not open. Raises ForgeSilent.

        `base_sha` is the commit that its diff begins at from now on; None leaves that as it is.

        `draft` is whether it is a draft from now on; None leaves that as it is. `note` is added at
        the end of its text unless it is there already.
        """
        ...

    def cancel_merge(self, repo: Repository, number: int, because: str) -> None:
        """Have a tracker no longer merge a change request by itself. Raises ForgeSilent.

        Does nothing if it was not to. `because` is kept with the rows of change requests here.
        """
        ...

    def open_change(self, repo: Repository, order: ChangeOrder, *, now: datetime) -> Delivery:
        """Open a change request for the run, or return the one it has. Raises ForgeSilent.

        Safe to repeat after a lost answer: it never opens a second one.
        """
        ...


class TrackerStore(Protocol):
    """Store of the built-in tracker's issues and change requests."""

    def issue(self, project_id: str, number: int) -> Any:
        """Return the issue's row, or None."""
        ...

    def issues(self, project_id: str) -> list[Any]:
        """Return a project's issues, lowest number first."""
        ...

    def said_about(self, project_id: str, number: int) -> tuple[list[Any], list[Any]]:
        """Return an issue's comments, and its change requests that were closed unmerged."""
        ...

    def ready_of(self, project_ids: Collection[str], label: str) -> Any:
        """Return open issues with a label and what may block them: three members, by project."""
        ...

    def open_numbers_of(self, project_ids: Collection[str]) -> dict[str, set[int]]:
        """Return the numbers of open issues, by project."""
        ...

    def numbers_among(self, project_id: str, numbers: Collection[int]) -> set[int]:
        """Return those of these numbers that an issue or a change request has."""
        ...

    def open_changes_of(self, project_ids: Collection[str]) -> dict[str, dict[str, int]]:
        """Return numbers of open change requests by branch, by project."""
        ...

    def change(self, project_id: str, number: int) -> Any:
        """Return the row of a change request, or None."""
        ...

    def update_change(self, project_id: str, number: int, **columns: Any) -> Any:
        """Update columns of an open change request; return its row, None if it is not open."""
        ...

    def change_of_run(self, run_id: str) -> Any:
        """Return the row of the change request that a run opened, or None."""
        ...

    def open_change(self, **columns: Any) -> Any:
        """Open a change request under the project's next number, or return the run's own."""
        ...
