"""Ports to forges: what a token may there, and the pull requests that a forge keeps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from app.domain.tracker.agent_requests import OpenedRequest
from app.domain.tracker.ci import Ci
from app.domain.tracker.forges import Place
from app.domain.words import MergeWait, Side
from app.services.ports.homes import ForgePlace
from app.services.ports.repositories import Repository
from app.services.ports.trackers import Issue, Listed


@dataclass(frozen=True)
class RequestState:
    """How a pull request stands; `state` is open, merged or closed.

    `base_sha` is its base as it is now, `updated_at` the last change of it or below it.
    """

    state: str
    head_sha: str
    merged_sha: str | None = None
    ended_at: datetime | None = None
    base_sha: str = ""
    updated_at: datetime | None = None


@dataclass(frozen=True)
class FailedJob:
    """A job of CI that failed, its page, and the end of its log, empty if that is not readable."""

    name: str
    url: str | None = None
    log: str = ""


@dataclass(frozen=True)
class Wish:
    """A comment of somebody who may write to the repository, for the agent of a pull request.

    On a line, it has its file and, where the forge tells, the commit it was written on.
    """

    place: Place
    id: int
    author: str
    text: str
    file: str | None = None
    line: int | None = None
    side: Side = Side.NEW
    sha: str = ""


@dataclass(frozen=True)
class Thread:
    """The place of a comment, to be answered there; without a line it is the whole request."""

    file: str | None = None
    line: int | None = None
    side: Side = Side.NEW


@dataclass(frozen=True)
class Merged:
    """The result of a merge by a forge: `sha` of the merge commit, or why nothing was merged.

    With `waits_for` the forge makes it by itself, once that lets it.
    """

    sha: str | None
    because: str = ""
    has_conflicts: bool = False
    waits_for: MergeWait | None = None


@dataclass(frozen=True)
class Scheduled:
    """The wait of a scheduled merge, None once it was dropped, and then why; one made counts."""

    waits_for: MergeWait | None
    because: str = ""


@dataclass(frozen=True)
class ForgeStanding:
    """The forge at an address, and a token's rights there; `missing` are the scopes it lacks.

    `may` is among `push`, `pull_requests` and `issues`.
    """

    kind: str
    version: str
    acts_as: str
    may: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class HostedRepository:
    """A repository at a forge, as a token sees it; `lacks` says what Runyard cannot do there."""

    full_name: str
    clone_url: str
    may_push: bool
    is_archived: bool = False
    lacks: str = ""


@dataclass(frozen=True)
class Spending:
    """The requests made to a forge, in all and in the last minute, and what it says is left.

    `remaining` and `reset_seconds` are None where a forge tells no limit.
    """

    requests: int
    last_minute: int
    remaining: int | None = None
    reset_seconds: int | None = None


class Forges(Protocol):
    """The forges that are known, and what is at an address."""

    def refresh(self) -> None:
        """Read the forges anew: one was added, changed or removed."""
        ...

    def requests_of(self, project: Any) -> PullRequests | None:
        """Return who merges a project's changes, None if Runyard does. Raises ForgeSilent."""
        ...

    def notices_of(self, project: Any) -> ClaimNotices | None:
        """Return what tells a project's issues of claims, None in Runyard. Raises ForgeSilent."""
        ...

    def place_of(self, project: Any) -> ForgePlace | None:
        """Return where a project's repository is, None for one of the built-in tracker."""
        ...

    def has_moved(self, project: Any) -> bool:
        """Return True if a forge redirected a question about a project's repository."""
        ...

    def histories_of(self, project: Any) -> IssueHistories | None:
        """Return the histories of a project's issues, None without any. Raises ForgeSilent."""
        ...

    def lists_of(self, project: Any) -> IssueLists | None:
        """Return who lists a project's issues, None if Runyard keeps them. Raises ForgeSilent."""
        ...

    def kind_at(self, address: str) -> tuple[str, str]:
        """Return the kind of forge at an address and its version. Raises ForgeSilent."""
        ...

    def inspect(
        self, address: str, kind: str | None, token: str, app_id: str | None = None
    ) -> ForgeStanding:
        """Return what a token may do at an address, or an App with its private key.

        Raises ForgeSilent, ValueError if that key is none.
        """
        ...

    def repository(
        self, forge_id: str, full_name: str, token: str | None = None
    ) -> HostedRepository | None:
        """Return a repository, None if the token sees none of this name.

        `token` is another than the forge's own. Raises ForgeSilent.
        """
        ...

    def repositories(self, forge_id: str) -> list[HostedRepository]:
        """Return the repositories that the token sees. Raises ForgeSilent."""
        ...

    def install_hook(self, forge_id: str, full_name: str, url: str, secret: str) -> str:
        """Have a repository send hooks to an address; return why not, "" if it does.

        Raises ForgeSilent.
        """
        ...

    def spending(self) -> dict[str, Spending]:
        """Return what was asked of each forge, by its id."""
        ...

    def is_any(self) -> bool:
        """Return True if a forge is known."""
        ...

    def refusals(self) -> dict[str, str]:
        """Return why only a person can help, by id of the forges that refused their token."""
        ...


@dataclass(frozen=True)
class Retitled:
    """A change of an issue's title, and whether its author may write to the repository."""

    by: str
    may_write: bool
    old_title: str


@dataclass(frozen=True)
class Labelled:
    """How an issue got a label that it has, and what followed.

    `event` is 0 if nothing tells who set it. `newest_at` is the time of the last thing that its
    history tells, which may be older than the last change of its text.
    """

    event: int = 0
    by: str = ""
    may_write: bool = False
    at: datetime | None = None
    retitled: tuple[Retitled, ...] = ()
    newest_at: datetime | None = None


class IssueHistories(Protocol):
    """Histories of a forge's issues: how they came to be as they are."""

    def writers(self, repo: Repository) -> Collection[int]:
        """Return the ids of the people who may write to a repository. Raises ForgeSilent."""
        ...

    def labelled(
        self, repo: Repository, number: int, label: str, writers: Collection[int]
    ) -> Labelled:
        """Return who set a label that an issue has, and if that is one of the writers.

        Raises ForgeSilent.
        """
        ...

    @property
    def tells_editors(self) -> bool:
        """True if the forge tells when, and by whom, a text was changed."""
        ...

    def was_text_changed(
        self,
        repo: Repository,
        number: int,
        since: datetime | None,
        writers: Collection[int],
    ) -> bool | None:
        """Return True if the text of an issue was changed, None if the forge does not tell.

        Where it `tells_editors`, only changes at `since` or later count, and not those by
        `writers`; elsewhere all that were ever made. Raises ForgeSilent.
        """
        ...


class IssueLists(Protocol):
    """The issues of a forge, to be kept here as they were read."""

    def listing(self, repo: Repository, since: datetime | None) -> Listed:
        """Return all open issues, with the blockers of those that are ready. Raises ForgeSilent.

        The closed ones are those that changed at `since` (by the forge's clock) or later; without
        it, the newest.
        """
        ...

    def changed_since(self, repo: Repository, since: datetime) -> list[Issue]:
        """Return the issues that changed at `since` or later, without blockers.

        Raises ForgeSilent. Closed blockers, renamed labels and deleted issues do not show in it.
        """
        ...


class PullRequests(Protocol):
    """The pull requests of a forge, which merges and closes them itself."""

    def states(self, repo: Repository, numbers: Collection[int]) -> dict[int, RequestState]:
        """Return how these pull requests stand, and all that are open. Raises ForgeSilent.

        Those that are gone are left out.
        """
        ...

    def opened_on(
        self, repo: Repository, branch: str, *, since: datetime
    ) -> Sequence[OpenedRequest]:
        """Return the open pull requests of a branch of the repository itself, by anybody.

        And those that ended at `since` or later. Raises ForgeSilent.
        """
        ...

    def merge(
        self, repo: Repository, number: int, *, head_sha: str, message: str, style: str = "merge"
    ) -> Merged:
        """Merge a pull request at exactly this head. Raises ForgeSilent: read before repeating.

        `style` is merge, squash or rebase. Where the base wants checks that have yet to pass, or
        a queue, the forge is asked to merge by itself.
        """
        ...

    def scheduled(self, repo: Repository, number: int) -> Scheduled:
        """Return how a scheduled merge stands. Raises ForgeSilent."""
        ...

    def ci(self, repo: Repository, sha: str) -> Ci:
        """Return what CI says of a commit. Raises ForgeSilent."""
        ...

    def failed_jobs(self, repo: Repository, sha: str) -> list[FailedJob]:
        """Return the jobs of CI that failed for a commit. Raises ForgeSilent."""
        ...

    def wishes(self, repo: Repository, number: int) -> list[Wish]:
        """Return what people want of a pull request's agent, oldest first. Raises ForgeSilent.

        These are the comments of reviews, and those that address Runyard; only of people who may
        write to the repository.
        """
        ...

    def answer(
        self, repo: Repository, number: int, run_id: str, threads: Collection[Thread], words: str
    ) -> None:
        """Answer comments where they stand, once for a run. Raises ForgeSilent."""
        ...

    def close(self, repo: Repository, number: int, because: str) -> bool:
        """Close a pull request, saying why; False if it is not open. Raises ForgeSilent."""
        ...

    def settle(self, repo: Repository, number: int) -> None:
        """Close the issue of a merged pull request, if the forge leaves it open by itself.

        Raises ForgeSilent.
        """
        ...


class ClaimNotices(Protocol):
    """The comments and labels by which issues at a forge show the runs that work on them."""

    def tell(
        self, repo: Repository, number: int, run_id: str, text: str, comment: int | None
    ) -> int | None:
        """Write a run's one comment on an issue, or change it to this text; return its id.

        `comment` is its id, if that is known. None if there is no such issue. Raises ForgeSilent:
        repeating it doubles nothing.
        """
        ...

    def add_label(self, repo: Repository, number: int, name: str) -> bool:
        """Give an issue a label, which is made if it is missing; False without such an issue.

        Raises ForgeSilent.
        """
        ...

    def drop_label(self, repo: Repository, number: int, name: str) -> None:
        """Take every label of this name off an issue. Raises ForgeSilent."""
        ...

    def has_label(self, repo: Repository, name: str) -> bool:
        """Return True if issues there can have a label of this name. Raises ForgeSilent."""
        ...

    def make_label(self, repo: Repository, name: str) -> None:
        """Make a label in a repository unless it has one of this name. Raises ForgeSilent."""
        ...
