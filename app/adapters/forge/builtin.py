"""The built-in tracker behind the forge port: it always answers, or the database is silent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.services.ports import ChangeOrder, Delivery, DiffStat, Issue, Repository, TrackerStore


class BuiltinForge:
    """Issues and change requests kept by Runyard itself."""

    def __init__(self, store: TrackerStore) -> None:
        self._store = store

    def issue(self, repo: Repository, number: int) -> Issue | None:
        """One issue."""
        row = self._store.issue(repo.project_id, number)
        if row is None:
            return None
        return Issue(row.number, row.title, row.body, tuple(row.labels), row.state)

    def delivery_of(self, repo: Repository, run_id: str, branch: str) -> Delivery | None:
        """The change request this very run opened, unless it was closed unmerged."""
        row = self._store.change_of_run(run_id)
        return None if row is None or row.state == "closed" else _delivery(row)

    def open_change(self, repo: Repository, order: ChangeOrder, *, now: datetime) -> Delivery:
        """Open a change request for the run, or answer the one it has."""
        row = self._store.open_change(
            project_id=repo.project_id,
            run_id=order.run_id,
            title=order.title,
            body=order.body,
            base=order.base,
            branch=order.branch,
            base_sha=order.base_sha,
            head_sha=order.head_sha,
            commits=order.stat.commits,
            files_changed=order.stat.files_changed,
            additions=order.stat.additions,
            deletions=order.stat.deletions,
            closes=order.closes,
            created_at=now,
        )
        return _delivery(row)


def _delivery(row: Any) -> Delivery:
    return Delivery(
        kind="change",
        number=row.number,
        url=f"/projects/{row.project_id}/changes/{row.number}",
        state=row.state,
        branch=row.branch,
        head_sha=row.head_sha,
        stat=DiffStat(row.commits, row.files_changed, row.additions, row.deletions),
    )
