"""A forge whose pull requests are kept as rows here, too: for inbox, review and proof."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Protocol

from app.adapters.forge.builtin import columns_of, delivery_of_row, unwanted_of
from app.failpoints import failpoint
from app.services.ports import (
    Change,
    ChangeOrder,
    ClaimNotices,
    Delivery,
    DiffStat,
    Forge,
    HostedRepository,
    Issue,
    IssueHistories,
    IssueLists,
    PullRequests,
    Ready,
    Repository,
    Said,
    TrackerStore,
)


class RemoteForge(Forge, PullRequests, ClaimNotices, IssueHistories, IssueLists, Protocol):
    """A forge as its adapter speaks with it."""

    def has_moved(self, full_name: str) -> bool:
        """Return True if a question about this repository was redirected."""
        ...

    @property
    def refused(self) -> str | None:
        """Why only a person can help, None if nothing is known against it."""
        ...

    def repository(self, full_name: str) -> HostedRepository | None:
        """Return a repository, None if the token sees none of this name. Raises ForgeSilent."""
        ...

    def repositories(self) -> list[HostedRepository]:
        """Return the repositories that the token sees. Raises ForgeSilent."""
        ...

    def install_hook(self, full_name: str, url: str, secret: str) -> str:
        """Have a repository send hooks; return why not, "" if it does. Raises ForgeSilent."""
        ...


@dataclass(frozen=True)
class TrackedForge:
    """A forge, and the rows of the pull requests that Runyard opened there.

    The forge decides what is open; a row adds the run, its exact size, and why it was closed.
    """

    remote: RemoteForge
    store: TrackerStore

    def issue(self, repo: Repository, number: int) -> Issue | None:
        """Return one issue, or None."""
        return self.remote.issue(repo, number)

    def issues(self, repo: Repository) -> list[Issue]:
        """List all issues, lowest number first."""
        return self.remote.issues(repo)

    def said_about(self, repo: Repository, number: int) -> Said:
        """Return what people said about an issue, and why changes for it were closed."""
        said = self.remote.said_about(repo, number)
        _, rows = self.store.said_about(repo.project_id, number)
        return replace(said, unwanted=tuple(map(unwanted_of, rows)))

    def open_among(self, repo: Repository, numbers: Collection[int]) -> frozenset[int]:
        """Return those of the numbers that are open issues."""
        return self.remote.open_among(repo, numbers)

    def known_among(self, repo: Repository, numbers: Collection[int]) -> frozenset[int]:
        """Return those of the numbers that belong to an issue or a pull request."""
        return self.remote.known_among(repo, numbers)

    def open_changes(self, repo: Repository) -> Mapping[str, int]:
        """Map each branch to the number of its open pull request."""
        return self.remote.open_changes(repo)

    def ready_issues(self, repos: Collection[Repository]) -> dict[Repository, Ready | None]:
        """Return the ready issues of all `repos` and what may block them."""
        return self.remote.ready_issues(repos)

    def delivery_of(
        self, repo: Repository, run_id: str, branch: str, *, since: datetime | None = None
    ) -> Delivery | None:
        """Return the pull request of this run, open or merged, or None."""
        row = self.store.change_of_run(run_id)
        if row is None:
            return self.remote.delivery_of(repo, run_id, branch, since=since)
        if row.state == "closed":
            return None
        state = self.remote.states(repo, [row.number]).get(row.number)
        if state is None or state.state == "closed":
            return None
        return replace(delivery_of_row(row), state=state.state)

    def change(self, repo: Repository, number: int) -> Change | None:
        """Return one pull request, or None."""
        change = self.remote.change(repo, number)
        row = self.store.change(repo.project_id, number) if change else None
        if change is None or row is None:
            return change
        return replace(change, closes=row.closes, base_sha=row.base_sha)

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
        """Record the new head of a pull request, None if it is not open."""
        updated = self.remote.update_change(
            repo,
            number,
            head_sha=head_sha,
            stat=stat,
            base_sha=base_sha,
            draft=draft,
            note=note,
        )
        if updated is not None:
            given = {"draft": draft, "base_sha": base_sha}
            self.store.update_change(
                repo.project_id,
                number,
                head_sha=head_sha,
                **asdict(stat),
                **{name: value for name, value in given.items() if value is not None},
            )
        return updated

    def cancel_merge(self, repo: Repository, number: int, because: str) -> None:
        """Cancel the merge that the forge was to make by itself, if any."""
        row = self.store.change(repo.project_id, number)
        if row is not None and row.may_merge_itself:
            self.remote.cancel_merge(repo, number, because)
            self.store.update_change(repo.project_id, number, merge_waits=None, merge_note=because)

    def open_change(self, repo: Repository, order: ChangeOrder, *, now: datetime) -> Delivery:
        """Open a pull request for the run, or return the one it has."""
        known = self.store.change_of_run(order.run_id)
        if known is not None:
            return delivery_of_row(known)
        # one that has ended meanwhile is kept as open: the watch then ends it as it ends any other
        opened = self.remote.open_change(repo, order, now=now)
        failpoint("forge.after_open")
        columns = columns_of(repo, order, now)
        row = self.store.open_change(**columns, number=opened.number, url=opened.url)
        return delivery_of_row(row)
