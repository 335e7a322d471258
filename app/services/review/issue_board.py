"""Issues of all projects, each with its state and what happens next with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import structlog

from app.domain.issues import blockers_of, issue_named, queue_order
from app.domain.names import TakenNames
from app.domain.tracker.issue_states import IssueState
from app.domain.words import BUILTIN
from app.records.projects.board_rows import read_board
from app.records.projects.tracker_ledger import OpenIssue
from app.records.review.open_changes import open_changes, work_on
from app.records.runs.parked_ledger import ParkedLedger
from app.records.tables import Project
from app.services.context import Context, repository_of
from app.services.ports import CannotRead
from app.services.projects.overview import Overview, ProjectView
from app.services.review.issue_facts import BoardIssue, BoardProject, Key, Look
from app.services.system.quarantine import Quarantine

log = structlog.get_logger()
# closed issues that are read unless somebody asks for more of them
CLOSED = 50
# issues whose blockers are remembered before they are all read again
MOST_KNOWN = 20_000
_ORDER = {state: place for place, state in enumerate(IssueState)}


@dataclass(frozen=True)
class Wanted:
    """A filter of the board; empty parts let everything through."""

    project_ids: tuple[str, ...] = ()
    states: tuple[IssueState, ...] = ()
    labels: tuple[str, ...] = ()
    text: str = ""

    def shows(self, project: Project) -> bool:
        """Return True for a project that is asked for; an archived one only by name."""
        if self.project_ids:
            return project.id in self.project_ids
        return project.archived_at is None

    def lets(self, issue: BoardIssue) -> bool:
        """Return True for an issue that is shown, whatever its state."""
        if self.project_ids and issue.project_id not in self.project_ids:
            return False
        if not set(self.labels) <= set(issue.labels):
            return False
        asked = self.text.strip().casefold()
        if (number := issue_named(asked)) is not None:
            return issue.number == number
        return not asked or asked in f"{issue.title} {issue.project_name}".casefold()


@dataclass(frozen=True)
class Board:
    """The issues in the order of the list, and how many there are by state before any limit."""

    issues: list[BoardIssue]
    counts: Mapping[IssueState, int]
    projects: list[BoardProject]


class IssueBoard:
    """Reads all projects' issues in a fixed number of statements."""

    def __init__(self, context: Context, overview: Overview, quarantine: Quarantine) -> None:
        self._overview = overview
        self._quarantine = quarantine
        self._stores = context.stores
        self._parked = ParkedLedger(context.ledgers.runs)
        self._mirrors = context.adapters.mirrors
        self._clock = context.clock
        # what each text names as blockers, with the text's hash: parsing is the slowest part
        self._named: Mapping[Key, tuple[int, list[int]]] = {}

    def look(self, wanted: Wanted, *, limit: int, closed: int = CLOSED) -> Board:
        """Return at most `limit` issues that the filter lets through, `closed` closed ones.

        Closed ones are the newest of those that the filter lets through. Raises DatabaseSilent.
        """
        views = {
            view.project.id: view for view in self._overview.all() if wanted.shows(view.project)
        }
        known = {one: view for one, view in views.items() if _is_read(view.project)}
        is_narrow = bool(wanted.text or wanted.labels)
        look = self._read(known, closed=limit if is_narrow else closed)
        shown = [one for one in look.issues() if wanted.lets(one)]
        counts = Counter(one.standing.state for one in shown)
        if not is_narrow:
            counts[IssueState.DONE] = look.rows.closed_counts.total()
        found = [one for one in shown if not wanted.states or one.standing.state in wanted.states]
        found.sort(key=_place)
        # they stand last
        done = sum(one.standing.state is IssueState.DONE for one in found)
        found = found[: len(found) - max(0, done - closed)]
        return Board(found[:limit], counts, [look.project(view) for view in views.values()])

    def _read(self, views: Mapping[str, ProjectView], *, closed: int) -> Look:
        with self._stores.looking() as session:
            there = [one for one, view in views.items() if view.project.forge_id is not None]
            rows = read_board(self._stores, session, views, there, closed=closed)
            kept = self._parked.all(session)
            changes = [one for one in open_changes(session) if one.project_id in views]
            works = work_on(self._stores, session, changes) if changes else {}
        return Look(
            views=views,
            rows=rows,
            kept={
                (run.project_id, run.issue): run
                for run in kept
                if run.issue is not None and run.project_id in views
            },
            changes={(one.project_id, one.branch): one for one in changes},
            works=works,
            # outside of the session, because mirrors may take long
            claims={one: self._claims(view.project) for one, view in views.items()},
            blockers=self._blockers(rows.open),
            given_up=frozenset(self._quarantine.ids_held("issue")),
            now=self._clock(),
        )

    def _blockers(self, issues: Collection[OpenIssue]) -> Mapping[Key, list[int]]:
        known, found = self._named, dict[Key, tuple[int, list[int]]]()
        for row in issues:
            key, mark = (row.project_id, row.number), hash(row.body)
            seen = known.get(key)
            found[key] = seen if seen and seen[0] == mark else (mark, blockers_of(row.body))
        self._named = {**known, **found} if len(known) < MOST_KNOWN else found
        return {key: numbers for key, (_, numbers) in found.items()}

    def _claims(self, project: Project) -> TakenNames | None:
        if project.state != "ready":
            return TakenNames(())
        try:
            return TakenNames(self._mirrors.claims(repository_of(project)))
        except CannotRead as problem:
            log.warning("mirror_not_read", project_id=project.id, because=problem)
            return None


def _is_read(project: Project) -> bool:
    """Return True if its issues are rows here: of the built-in tracker, or of a known forge."""
    return project.tracker == BUILTIN or project.forge_id is not None


def _place(issue: BoardIssue) -> tuple[object, ...]:
    """Return the sort key of the list: by state, then as the queue runs, or newest first."""
    state = issue.standing.state
    if state in (IssueState.READY, IssueState.WAITING):
        return _ORDER[state], *queue_order(issue), issue.project_name
    return _ORDER[state], -issue.updated_at.timestamp(), issue.project_name, -issue.number
