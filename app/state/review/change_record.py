"""The state of a change's page: the change with pending actions, and what belongs to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from app.api.client.client import ApiClient, ApiProblem
from app.api.schemas import (
    ChangeCommentOut,
    ChangeFile,
    ChangeHistoryOut,
    ChangeOut,
    CommitOut,
    ReportOut,
    RequestOut,
    RunCheck,
    RunItem,
)
from app.domain.words import Phase
from app.state.page.optimistic import OptimisticRows

Found = TypeVar("Found")
# runs of one change whose reports and checks are shown; a change hardly ever has as many
MOST_RUNS = 20


@dataclass(frozen=True)
class ChangeSnapshot:
    """A change and what belongs to it; `files` and `history` are None while they cannot be read.

    `runs` are those that worked on it, oldest first; `reports` and `checks` are by run.
    """

    change: ChangeOut
    comments: list[ChangeCommentOut] = field(default_factory=list[ChangeCommentOut])
    files: list[ChangeFile] | None = None
    runs: list[RunItem] = field(default_factory=list[RunItem])
    reports: dict[str, ReportOut] = field(default_factory=dict[str, ReportOut])
    checks: dict[str, list[RunCheck]] = field(default_factory=dict[str, list[RunCheck]])
    history: ChangeHistoryOut | None = None

    @property
    def first(self) -> RunItem | None:
        """The run that opened the change."""
        return next((run for run in self.runs if run.id == self.change.run_id), None)

    @property
    def live(self) -> RunItem | None:
        """A run that works on the change now, or waits to."""
        return next((run for run in self.runs if run.phase is not Phase.DONE), None)

    @property
    def drafts(self) -> list[ChangeCommentOut]:
        """This person's comments that are not sent."""
        return [one for one in self.comments if one.draft]

    @property
    def requests(self) -> list[RequestOut]:
        """The requests of people, oldest first."""
        return self.history.requests if self.history is not None else []

    @property
    def commits(self) -> list[CommitOut]:
        """The commits, newest first."""
        return self.history.commits if self.history is not None else []

    @property
    def done(self) -> dict[int, str]:
        """The commit that changed the line of a comment, by the comment's id."""
        found = self.history.done if self.history is not None else []
        return {one.comment: one.commit for one in found}

    def sent_with(self, request: RequestOut) -> list[ChangeCommentOut]:
        """Return the comments that a request held."""
        return [one for one in self.comments if one.round == request.round]

    def made_by(self, run: RunItem) -> list[CommitOut]:
        """Return the commits that a run brought, oldest first."""
        shas = [one.sha for one in self.commits]
        if run.head_sha not in shas or run.phase is not Phase.DONE:
            return []
        newest = shas.index(run.head_sha)
        oldest = shas.index(run.base_sha) if run.base_sha in shas else len(shas)
        return self.commits[newest:oldest][::-1]

    @property
    def last_checks(self) -> list[RunCheck]:
        """The last round of checks of the newest run that had any."""
        for run in reversed(self.runs):
            if found := self.checks.get(run.id):
                last = max(one.round for one in found)
                return [one for one in found if one.round == last]
        return []


async def read_change(api: ApiClient, project_id: str, number: int) -> ChangeSnapshot:
    """Fetch a change and what belongs to it. Raises ApiProblem, NoAnswer."""
    change = await api.change(project_id, number)
    comments, files, history, page = await asyncio.gather(
        api.change_comments(project_id, number),
        _unless_away(api.change_files(project_id, number)),
        _unless_away(api.change_history(project_id, number)),
        api.runs(project_id=project_id, branch=change.branch, limit=100),
    )
    runs = [run for run in page.items if works_on(run, change)][:MOST_RUNS]
    reports = await asyncio.gather(*(api.report(run.id) for run in runs))
    checks = await asyncio.gather(*(api.checks(run.id) for run in runs))
    return ChangeSnapshot(
        change,
        comments,
        files,
        sorted(runs, key=lambda run: (run.created_at, run.id)),
        {run.id: one for run, one in zip(runs, reports, strict=True)},
        {run.id: one for run, one in zip(runs, checks, strict=True)},
        history,
    )


def works_on(run: RunItem, change: ChangeOut) -> bool:
    """Return True for a run that opened the change or is to update it."""
    made = run.delivery
    is_its_own = made is not None and made.kind == "change" and made.number == change.number
    return run.id == change.run_id or run.pr_number == change.number or is_its_own


async def _unless_away(asked: Awaitable[Found]) -> Found | None:
    """Return None while the repository cannot be read: the rest of the page does not need it."""
    try:
        return await asked
    except ApiProblem as problem:
        if problem.status < 500:
            raise
        return None


class ChangeRecord:
    """A change as its page shows it; `rows` holds it with pending actions."""

    def __init__(self, snapshot: ChangeSnapshot) -> None:
        self._key = str(snapshot.change.number)
        self.rows: OptimisticRows[ChangeOut] = OptimisticRows(_key_of, _since)
        self.snapshot = snapshot
        self.take(snapshot)

    @property
    def change(self) -> ChangeOut:
        """The change as it is shown."""
        return self.rows.visible()[0]

    @property
    def word(self) -> str:
        """The busy word of an action under way (`Merging…`), "" otherwise."""
        return self.rows.word_of(self._key)

    def take(self, snapshot: ChangeSnapshot) -> None:
        """Show a fresh snapshot; pending actions stay."""
        self.snapshot = snapshot
        self.rows.put(snapshot.change)


def _key_of(change: ChangeOut) -> str:
    return str(change.number)


def _since(change: ChangeOut) -> datetime:
    return change.created_at
