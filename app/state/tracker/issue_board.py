"""The issues of all projects or one, as one person sees them: filters, groups, drops, actions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from app.api.schemas.issue_board import BoardIssueOut, BoardOut, BoardProjectOut
from app.domain.issues import issue_named, queue_order
from app.domain.tracker.drops import Card, Drop, drop_of
from app.domain.tracker.issue_states import IssueState
from app.state.page.optimistic import OptimisticRows

GROUP_NAMES = {
    IssueState.ATTENTION: "Needs attention",
    IssueState.RUNNING: "Running",
    IssueState.READY: "Ready",
    IssueState.WAITING: "Waiting",
    IssueState.REVIEW: "In review",
    IssueState.DONE: "Done",
}
# the columns of the board, with what stands below each other in one
COLUMNS = (
    (IssueState.READY, IssueState.WAITING),
    (IssueState.RUNNING,),
    (IssueState.REVIEW,),
    (IssueState.ATTENTION,),
    (IssueState.DONE,),
)
FOLDED = frozenset({IssueState.REVIEW, IssueState.DONE})
# rows of a group, and cards of a column, until a person asks for all
ROWS, CARDS = 20, 50
# closed issues that are asked for, usually and while a filter narrows them
CLOSED, MORE_CLOSED = 50, 500
LIST, BOARD = "list", "board"
_ORDER = {state: place for place, state in enumerate(IssueState)}


@dataclass(frozen=True)
class BoardFilter:
    """The filter of the page; kept in its address. `state` is empty for all."""

    project: str = ""
    state: str = ""
    label: str = ""
    q: str = ""
    view: str = LIST

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> BoardFilter:
        """Parse the filter from the query of an address."""
        state = query.get("state", "")
        return cls(
            project=query.get("project", ""),
            state=state if state in set(IssueState) else "",
            label=query.get("label", ""),
            q=query.get("q", ""),
            view=BOARD if query.get("view") == BOARD else LIST,
        )

    def query_of(self, query: Mapping[str, str], *, is_one: bool) -> str:
        """Return the page's query with this filter; `query` is the one that it was opened with.

        The page of one project names it in its path.
        """
        rest = {name: value for name, value in query.items() if name not in vars(self)}
        view = self.view if self.view != LIST else ""
        parts = {**rest, **vars(self), "view": view, "project": "" if is_one else self.project}
        return urlencode({name: value for name, value in parts.items() if value})

    @property
    def closed(self) -> int:
        """How many closed issues the page asks for."""
        is_narrow = self.q or self.label or self.state == IssueState.DONE
        return MORE_CLOSED if is_narrow else CLOSED

    def lets(self, issue: BoardIssueOut) -> bool:
        """Return True for an issue that is shown, whatever its state."""
        if self.project and issue.project_id != self.project:
            return False
        if self.label and self.label not in issue.labels:
            return False
        asked = self.q.strip().casefold()
        if (number := issue_named(asked)) is not None:
            return issue.number == number
        return not asked or asked in f"{issue.title} {issue.project_name}".casefold()


@dataclass(frozen=True)
class GroupView:
    """A group with the rows that it shows now; of its `count` issues, some may not be loaded."""

    state: IssueState
    rows: tuple[BoardIssueOut, ...]
    count: int
    loaded: int
    is_folded: bool = False


class IssueBoardState:
    """The issues by state; what a person does shows at once and is rolled back if it fails."""

    def __init__(self, chosen: BoardFilter) -> None:
        self.filter = chosen
        self.is_known = False
        self.projects: dict[str, BoardProjectOut] = {}
        self._rows: OptimisticRows[BoardIssueOut] = OptimisticRows(key_of, lambda _: 0)
        self._unfolded: set[IssueState] = set()
        self._folded: set[IssueState] = set()
        self._whole: set[IssueState] = set()
        # the card beside each dropped one, and the side, until the server has answered
        self._placed: dict[str, tuple[str, int]] = {}

    # --- loading -------------------------------------------------------------------------------

    def load(self, board: BoardOut, asked: Collection[str] = ()) -> None:
        """Replace all issues, or those of the projects that were asked for."""
        answered = {one.project_id: one for one in board.projects}
        others = [one for one in self._rows.settled() if asked and one.project_id not in asked]
        self._rows.load([*others, *board.items])
        kept = {one: known for one, known in self.projects.items() if asked and one not in asked}
        self.projects = kept | answered
        self.is_known = True

    # --- what is shown -------------------------------------------------------------------------

    def groups(self) -> list[GroupView]:
        """Return the groups of the list that have issues, in the order of a person's work."""
        by_state = self._by_state(filtered=True)
        found: list[GroupView] = []
        for state in IssueState:
            rows = by_state.get(state, [])
            if rows:
                shown = rows if state in self._whole else rows[:ROWS]
                count = self._count(state, rows)
                is_folded = self._is_folded(state)
                found.append(GroupView(state, tuple(shown), count, len(rows), is_folded))
        return found

    def column(self, state: IssueState) -> GroupView:
        """Return a part of the board."""
        rows = self._by_state(filtered=False).get(state, [])
        shown = rows if state in self._whole else rows[:CARDS]
        return GroupView(state, tuple(shown), self._count(state, rows), len(rows))

    @property
    def open_count(self) -> int | None:
        """How many issues of the shown projects are open, None if that is not known of any."""
        counts = [one.open for one in self.projects.values() if one.open is not None]
        return sum(counts) if counts else None

    @property
    def unread(self) -> list[BoardProjectOut]:
        """The projects whose issues are not known here."""
        return [one for one in self.projects.values() if one.because is not None]

    @property
    def old(self) -> list[BoardProjectOut]:
        """The projects whose issues are those of an earlier moment, as their forge is silent."""
        return [one for one in self.projects.values() if one.as_of is not None]

    @property
    def labels(self) -> list[str]:
        """The labels in use, most used first."""
        counted = Counter(label for one in self._rows.unsorted() for label in one.labels)
        return sorted(counted, key=lambda label: (-counted[label], label))

    def get(self, key: str) -> BoardIssueOut | None:
        """Return an issue as it is shown."""
        return self._rows.shown(key)

    def word_of(self, issue: BoardIssueOut) -> str:
        """Return the busy word of an issue with a pending change."""
        return self._rows.word_of(key_of(issue))

    def _by_state(self, *, filtered: bool) -> dict[IssueState, list[BoardIssueOut]]:
        wanted = self.filter.state if filtered else ""
        found: dict[IssueState, list[BoardIssueOut]] = {}
        for issue in sorted(self._rows.unsorted(), key=self._place):
            if self.filter.lets(issue) and (not wanted or issue.state == wanted):
                found.setdefault(issue.state, []).append(issue)
        return found

    def _count(self, state: IssueState, rows: Sequence[BoardIssueOut]) -> int:
        chosen = self.filter
        if state is not IssueState.DONE or chosen.q or chosen.label:
            return len(rows)
        # only the newest are loaded
        shown = (one for one in self.projects.values() if chosen.project in ("", one.project_id))
        return max(len(rows), sum(one.closed or 0 for one in shown))

    def _place(self, issue: BoardIssueOut) -> tuple[Any, ...]:
        beside, side = self._placed.get(key_of(issue), ("", 0))
        neighbor = self.get(beside)
        if neighbor is None or neighbor.state is not issue.state:
            return _sort_key(issue)
        return (*_sort_key(neighbor)[:-1], side)

    # --- folding -------------------------------------------------------------------------------

    def _is_folded(self, state: IssueState) -> bool:
        if self.filter.state == state or self.filter.q:
            return state in self._folded
        return state in self._folded or (state in FOLDED and state not in self._unfolded)

    def fold(self, state: IssueState) -> None:
        """Fold a group, or unfold it."""
        if self._is_folded(state):
            self._folded.discard(state)
            self._unfolded.add(state)
        else:
            self._folded.add(state)
            self._unfolded.discard(state)

    def show_all(self, state: IssueState) -> None:
        """Show all rows of a group from now on."""
        self._whole.add(state)

    # --- acting --------------------------------------------------------------------------------

    def drop(self, key: str, place: int) -> Drop | None:
        """Return what dropping a ready card at a place among the others changes, None if nothing.

        `place` counts the cards that stay above it.
        """
        ready = self.column(IssueState.READY).rows
        moved = self.get(key)
        if moved is None or moved.state is not IssueState.READY or self.word_of(moved):
            return None
        if moved.url is not None:
            return None  # its forge decides its place
        if place == next(at for at, one in enumerate(ready) if key_of(one) == key):
            return None
        others = [one for one in ready if key_of(one) != key]
        return drop_of(_card(moved), [_card(one) for one in others], place)

    def place_beside(self, key: str, step: int) -> int | None:
        """Return the place of a ready card after a step of -1 or 1, None past the ends."""
        keys = [key_of(one) for one in self.column(IssueState.READY).rows]
        if key not in keys:
            return None
        place = keys.index(key) + step
        return place if 0 <= place < len(keys) else None

    async def move(
        self,
        key: str,
        place: int,
        send: Callable[[Drop], Awaitable[Any]],
        show: Callable[[], object],
    ) -> bool:
        """Drop a card and show it there at once; return False if nothing changes.

        Raises what `send` raises, after a rollback.
        """
        drop, moved = self.drop(key, place), self.get(key)
        if drop is None or moved is None:
            return False
        others = [one for one in self.column(IssueState.READY).rows if key_of(one) != key]
        at = min(place, len(others))
        below = at < len(others)
        beside = others[at] if below else others[-1]
        self._placed[key] = key_of(beside), -1 if below else 1
        row = moved.model_copy(update={"priority": drop.priority})

        async def act() -> None:
            await send(drop)

        try:
            await self._rows.attempt(row, act, word="Moving…", show=show)
        finally:
            self._placed.pop(key, None)
            show()
        return True

    async def start(
        self,
        issue: BoardIssueOut,
        act: Callable[[], Awaitable[Any]],
        show: Callable[[], object],
    ) -> None:
        """Start a run for an issue, shown as running at once. Raises what `act` raises."""
        row = issue.model_copy(
            update={"state": IssueState.RUNNING, "next": "Starting…", "may_run": False}
        )
        await self._rows.attempt(row, act, word="Starting…", show=show)

    def choose(self, **parts: str) -> None:
        """Change parts of the filter."""
        self.filter = replace(self.filter, **parts)


def key_of(issue: BoardIssueOut) -> str:
    """Return the key of an issue's row: its project and number."""
    return f"{issue.project_id}:{issue.number}"


def _sort_key(issue: BoardIssueOut) -> tuple[Any, ...]:
    order = _ORDER[issue.state]
    if issue.state in (IssueState.READY, IssueState.WAITING):
        return order, *queue_order(issue), issue.project_name, 0
    return order, -issue.updated_at.timestamp(), issue.project_name, -issue.number, 0


def _card(issue: BoardIssueOut) -> Card:
    return Card(issue.project_id, issue.number, issue.priority)
