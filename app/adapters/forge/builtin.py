"""The built-in tracker behind the forge port; it fails only if the database does."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from app.domain.words import READY_LABEL
from app.services.ports import (
    Change,
    ChangeOrder,
    Delivery,
    DiffStat,
    Issue,
    Ready,
    Remark,
    Repository,
    Said,
    TrackerStore,
    Unwanted,
)


class BuiltinForge:
    """A forge whose issues and change requests Runyard itself stores."""

    def __init__(self, store: TrackerStore) -> None:
        self._store = store

    def issue(self, repo: Repository, number: int) -> Issue | None:
        """Return one issue, or None."""
        row = self._store.issue(repo.project_id, number)
        return None if row is None else _issue(row)

    def issues(self, repo: Repository) -> list[Issue]:
        """List all issues, lowest number first."""
        return [_issue(row) for row in self._store.issues(repo.project_id)]

    def said_about(self, repo: Repository, number: int) -> Said:
        """Return what people said about an issue, oldest first; agents of runs are no people."""
        comments, closed = self._store.said_about(repo.project_id, number)
        return Said(
            tuple(
                Remark(row.author, row.body, row.created_at)
                for row in comments
                if row.run_id is None
            ),
            tuple(map(unwanted_of, closed)),
        )

    def open_among(self, repo: Repository, numbers: Collection[int]) -> frozenset[int]:
        """Return those of the numbers that are open issues."""
        if not numbers:
            return frozenset()
        found = self._store.open_numbers_of([repo.project_id])
        return frozenset(found.get(repo.project_id, set()).intersection(numbers))

    def known_among(self, repo: Repository, numbers: Collection[int]) -> frozenset[int]:
        """Return those of the numbers that belong to an issue or a change request."""
        return frozenset(self._store.numbers_among(repo.project_id, numbers) if numbers else ())

    def open_changes(self, repo: Repository) -> Mapping[str, int]:
        """Map each branch to the number of its open change request."""
        return self._store.open_changes_of([repo.project_id]).get(repo.project_id, {})

    def ready_issues(self, repos: Collection[Repository]) -> dict[Repository, Ready | None]:
        """Return the ready issues of all `repos` and what may block them, in three queries."""
        rows = self._store.ready_of([repo.project_id for repo in repos], READY_LABEL)
        return {
            repo: Ready(
                tuple(_issue(row) for row in rows.issues.get(repo.project_id, ())),
                frozenset(rows.open_numbers.get(repo.project_id, ())),
                rows.changes.get(repo.project_id, {}),
            )
            for repo in repos
        }

    def delivery_of(
        self, repo: Repository, run_id: str, branch: str, *, since: datetime | None = None
    ) -> Delivery | None:
        """Return the change request that this run opened, or None; one closed unmerged is none.

        `branch` and `since` are not needed here.
        """
        row = self._store.change_of_run(run_id)
        return None if row is None or row.state == "closed" else delivery_of_row(row)

    def change(self, repo: Repository, number: int) -> Change | None:
        """Return one change request, or None."""
        row = self._store.change(repo.project_id, number)
        if row is None:
            return None
        return Change(
            number=row.number,
            title=row.title,
            state=row.state,
            base=row.base,
            branch=row.branch,
            base_sha=row.base_sha,
            head_sha=row.head_sha,
            closes=row.closes,
            reverts=row.reverts,
        )

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
        """Record the new head of a change request, None if it is not open."""
        given = {"draft": draft, "base_sha": base_sha}
        known: dict[str, Any] = {name: it for name, it in given.items() if it is not None}
        change = self._store.change(repo.project_id, number) if note else None
        if change is not None and note not in change.body:
            known["body"] = f"{change.body}\n\n{note}"
        row = self._store.update_change(
            repo.project_id,
            number,
            head_sha=head_sha,
            **asdict(stat),
            **known,
        )
        return None if row is None else delivery_of_row(row)

    def cancel_merge(self, repo: Repository, number: int, because: str) -> None:
        """Do nothing: what is merged here is merged at once."""

    def open_change(self, repo: Repository, order: ChangeOrder, *, now: datetime) -> Delivery:
        """Open a change request for the run, or return its existing one."""
        row = self._store.open_change(**columns_of(repo, order, now))
        return delivery_of_row(row)


def _issue(row: Any) -> Issue:
    return Issue(
        number=row.number,
        title=row.title,
        body=row.body,
        labels=tuple(row.labels),
        state=row.state,
        created_at=row.created_at,
        closed_at=row.closed_at,
        priority=row.priority,
        rank=row.rank,
    )


def unwanted_of(row: Any) -> Unwanted:
    """Return the change request of a row that was closed unmerged."""
    return Unwanted(row.number, row.closed_because or "", row.ended_at or row.created_at)


def columns_of(repo: Repository, order: ChangeOrder, now: datetime) -> dict[str, Any]:
    """Return the columns of a change request that is opened for a run."""
    names = {one.name for one in fields(order)} - {"stat", "since"}
    told = {name: getattr(order, name) for name in names}
    return {**told, **asdict(order.stat), "project_id": repo.project_id, "created_at": now}


def delivery_of_row(row: Any) -> Delivery:
    """Return the delivery of a stored change request; one of a forge has an address there."""
    return Delivery(
        kind="pull_request" if row.url else "change",
        number=row.number,
        url=row.url or f"/projects/{row.project_id}/changes/{row.number}",
        state=row.state,
        branch=row.branch,
        head_sha=row.head_sha,
        stat=DiffStat(row.commits, row.files_changed, row.additions, row.deletions),
    )
