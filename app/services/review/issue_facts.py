"""The facts of the issues board: what was read, and each issue made of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TypedDict

from app.domain.issues import blocker_among, branch_of_issue, queue_order
from app.domain.names import TakenNames
from app.domain.rules import is_paused
from app.domain.tracker.forges import as_of
from app.domain.tracker.issue_states import (
    BoardFacts,
    IssueState,
    KeptWork,
    Limit,
    Loop,
    OpenRun,
    Standing,
    standing_of,
    with_blocker,
)
from app.domain.tracker.issue_trust import doubt_as_seen
from app.domain.words import BUILTIN, READY_LABEL, Status
from app.records.projects.board_rows import AtForge, BoardRows, ClosedIssue, IssueRun
from app.records.projects.tracker_ledger import OpenIssue
from app.records.review.open_changes import Work
from app.records.tables import ChangeRequest, IssueText, Project, Run
from app.services.kept.parked import why_kept
from app.services.projects.overview import ProjectView
from app.services.system.origin_watch import unreachable_words

Key = tuple[str, int]
ELSEWHERE = "Its issues are kept elsewhere, and Runyard does not read that tracker yet."
UNREAD = "Its issues are being read at its forge."
SILENT = "Its issues could not be read yet: {}."
_NOT_READY = {
    "cloning": "the repository is being cloned",
    "broken": "the repository could not be cloned",
}


class Told(TypedDict, total=False):
    """Facts that a forge tells of an issue, for people."""

    url: str | None
    assignees: tuple[str, ...]
    milestone: str
    as_of: datetime | None


@dataclass(frozen=True)
class ChangeSize:
    """The size of an open change request; `red` of its required `checks` did not pass."""

    additions: int
    deletions: int
    checks: int
    red: int


@dataclass(frozen=True)
class BoardIssue:
    """An issue on the board; `updated_at` is the newest time known of it."""

    project_id: str
    project_name: str
    number: int
    title: str
    labels: tuple[str, ...]
    priority: str
    rank: int | None
    standing: Standing
    agent: str
    updated_at: datetime
    run: IssueRun | None = None
    run_id: str | None = None
    change: int | None = None
    size: ChangeSize | None = None
    blocked_by: tuple[int, ...] = ()
    url: str | None = None
    assignees: tuple[str, ...] = ()
    milestone: str = ""
    as_of: datetime | None = None


@dataclass(frozen=True)
class BoardProject:
    """How many issues a project has; None, and why, if they are not known here.

    `url` is the page of its issues at the forge that keeps them; `as_of` is when they were last
    read there, if that is too long ago to be the present state.
    """

    project_id: str
    name: str
    open: int | None
    closed: int | None
    because: str | None = None
    url: str | None = None
    as_of: datetime | None = None


@dataclass(frozen=True)
class Look:
    """Everything that was read for the board; `changes` are open ones, by branch."""

    views: Mapping[str, ProjectView]
    rows: BoardRows
    kept: Mapping[Key, Run]
    changes: Mapping[tuple[str, str], ChangeRequest]
    works: Mapping[Key, Work]
    claims: Mapping[str, TakenNames | None]
    blockers: Mapping[Key, list[int]]
    given_up: Collection[str]
    now: datetime

    def issues(self) -> list[BoardIssue]:
        """Return all issues, in no order."""
        facts = {(row.project_id, row.number): self._facts(row) for row in self.rows.open}
        stands = {key: standing_of(one, self.now) for key, one in facts.items()}
        places = self._places(stands)
        found: list[BoardIssue] = []
        for row in self.rows.open:
            key = row.project_id, row.number
            one, standing = facts[key], stands[key]
            if key in places:
                standing = standing_of(replace(one, place=places[key]), self.now)
            blocker = stands.get((row.project_id, one.blocker or 0))
            standing = with_blocker(standing, one.blocker, blocker.state if blocker else None)
            found.append(self._open_issue(row, standing))
        return found + [self._closed_issue(row) for row in self.rows.closed]

    def project(self, view: ProjectView) -> BoardProject:
        """Return how many issues a project has."""
        project, one, name = view.project, view.project.id, view.project.name
        if one not in self.views:
            return BoardProject(one, name, None, None, ELSEWHERE)
        listing, url = self.rows.listings.get(one), self._address_of(project)
        if project.tracker != BUILTIN and (listing is None or listing.whole_at is None):
            silence = listing.silent_because if listing else None
            because = SILENT.format(silence) if silence else UNREAD
            return BoardProject(one, name, None, None, because, url)
        count = len(self._open_numbers.get(one, ()))
        closed = self.rows.closed_counts[one]
        return BoardProject(one, name, count, closed, None, url, self._as_of(one))

    def _address_of(self, project: Project) -> str | None:
        forge = self.rows.forges.get(project.forge_id or "")
        return f"{forge}/{project.repository}/issues" if forge and project.repository else None

    def _as_of(self, project_id: str) -> datetime | None:
        """Return when a forge's list was read, None while it is the present one."""
        listing = self.rows.listings.get(project_id)
        return listing and as_of(listing.read_at, listing.silent_since, self.now)

    def _places(self, stands: Mapping[Key, Standing]) -> dict[Key, int]:
        """Return the place in its project's queue of each issue that is ready, from 1."""
        queues: dict[str, list[OpenIssue]] = defaultdict(list)
        for row in self.rows.open:
            if stands[row.project_id, row.number].state is IssueState.READY:
                queues[row.project_id].append(row)
        return {
            (row.project_id, row.number): place
            for queue in queues.values()
            for place, row in enumerate(sorted(queue, key=queue_order), start=1)
        }

    def _facts(self, row: OpenIssue) -> BoardFacts:
        view = self.views[row.project_id]
        key = row.project_id, row.number
        branch = branch_of_issue(view.project.branch_pattern, row.number)
        change, kept, run = (
            self._change_on(row, branch),
            self.kept.get(key),
            self.rows.runs.get(key),
        )
        claims = self.claims[row.project_id]
        return BoardFacts(
            is_open=True,
            is_labelled=READY_LABEL in row.labels,
            loop=self._loops[row.project_id],
            run=_open_run(run) if run else None,
            change=change.number if change else None,
            kept=_kept_work(kept) if kept else None,
            is_read=claims is not None,
            taken=claims.in_the_way_of(branch) if claims else None,
            is_given_up=f"{row.project_id}.{row.number}" in self.given_up,
            blocker=blocker_among(
                self._blockers_of(key), self._open_numbers[row.project_id], itself=row.number
            ),
            waits_for=_waits_for(self.rows.at_forge.get(key), self.rows.texts.get(key)),
        )

    def _blockers_of(self, key: Key) -> list[int]:
        """Return the numbers that its text and its forge name as blockers."""
        there = self.rows.at_forge.get(key)
        named = self.blockers[key]
        return list(dict.fromkeys([*named, *there.dependencies])) if there else named

    def _change_on(self, row: OpenIssue, branch: str) -> ChangeRequest | None:
        one = row.project_id
        return self.changes.get((one, branch)) or self._closing.get((one, row.number))

    @cached_property
    def _closing(self) -> Mapping[Key, ChangeRequest]:
        changes = self.changes.values()
        return {(one.project_id, one.closes): one for one in changes if one.closes is not None}

    @cached_property
    def _open_numbers(self) -> Mapping[str, Collection[int]]:
        found: dict[str, set[int]] = defaultdict(set)
        for row in self.rows.open:
            found[row.project_id].add(row.number)
        return found

    @cached_property
    def _loops(self) -> Mapping[str, Loop]:
        return {one: _loop_of(view) for one, view in self.views.items()}

    def _open_issue(self, row: OpenIssue, standing: Standing) -> BoardIssue:
        view, key = self.views[row.project_id], (row.project_id, row.number)
        run, kept = self.rows.runs.get(key), self.kept.get(key)
        branch = branch_of_issue(view.project.branch_pattern, row.number)
        change = self._change_on(row, branch)
        work = self.works.get((change.project_id, change.number)) if change else None
        there = self.rows.at_forge.get(key)
        times = (
            row.created_at,
            there.updated_at if there else None,
            run.started_at or run.created_at if run else None,
            kept.ended_at if kept else None,
            change.created_at if change else None,
        )
        return BoardIssue(
            project_id=row.project_id,
            project_name=view.project.name,
            number=row.number,
            title=row.title,
            labels=tuple(row.labels),
            priority=row.priority,
            rank=row.rank,
            standing=standing,
            agent=run.agent if run else view.project.agent,
            updated_at=max(one for one in times if one is not None),
            run=run,
            run_id=_leading_run(run, kept, work),
            change=change.number if change else None,
            size=_size_of(change, work) if change else None,
            blocked_by=tuple(self._blockers_of(key)),
            **self._told_there(key),
        )

    def _told_there(self, key: Key) -> Told:
        """Return what a board tells of an issue of a forge."""
        there = self.rows.at_forge.get(key)
        if there is None:
            return {}
        return {
            "url": there.url,
            "assignees": tuple(there.assignees),
            "milestone": there.milestone,
            "as_of": self._as_of(key[0]),
        }

    def _closed_issue(self, row: ClosedIssue) -> BoardIssue:
        view, merged = self.views[row.project_id], self.rows.merged.get(row[:2])
        facts = BoardFacts(
            is_open=False, is_labelled=False, loop=self._loops[row.project_id], merged_by=merged
        )
        return BoardIssue(
            project_id=row.project_id,
            project_name=view.project.name,
            number=row.number,
            title=row.title,
            labels=tuple(row.labels),
            priority=row.priority,
            rank=None,
            standing=standing_of(facts, self.now),
            agent=view.project.agent,
            updated_at=row.closed_at or row.created_at,
            change=merged,
            **self._told_there(row[:2]),
        )


def _waits_for(there: AtForge | None, text: IssueText | None) -> str | None:
    if there is None:
        return None
    if there.blocked_elsewhere:
        return f"blocked by {there.blocked_elsewhere[0]}"
    return doubt_as_seen(text, there.stranger) or None


def _loop_of(view: ProjectView) -> Loop:
    project, hold = view.project, view.usage_hold
    limit = Limit(hold.agent, hold.until) if hold and hold.agent == project.agent else None
    obstacle = (
        _NOT_READY.get(project.state)
        or unreachable_words(project)
        or project.checks_error
        or view.agent_problem
        or view.sandbox_problem
    )
    return Loop(
        project=project.name,
        is_archived=project.archived_at is not None,
        is_auto=project.auto_enabled,
        is_paused=is_paused(project.strikes),
        obstacle=obstacle,
        limit=limit,
    )


def _open_run(run: IssueRun) -> OpenRun:
    return OpenRun(
        id=run.id,
        status=Status(run.status),
        agent=run.agent,
        created_at=run.created_at,
        started_at=run.started_at,
        budget_seconds=run.budget_seconds,
        hold=run.hold,
    )


def _kept_work(run: Run) -> KeptWork:
    at = run.ended_at or run.created_at
    return KeptWork(run.id, why_kept(run), at, run.agent, waits=run.may_resume)


def _leading_run(run: IssueRun | None, kept: Run | None, work: Work | None) -> str | None:
    if run is not None:
        return run.id
    return kept.id if kept is not None else work.run_id if work else None


def _size_of(change: ChangeRequest, work: Work | None) -> ChangeSize:
    checks, red = (work.checks, work.red) if work else (0, 0)
    return ChangeSize(change.additions, change.deletions, checks, red)
