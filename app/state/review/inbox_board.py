"""The inbox as one page shows it: groups of items, the selected row, and those picked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.api.client.client import ApiClient
from app.api.schemas import ChangeOut
from app.api.schemas.inbox import InboxItem
from app.domain.review.inbox import Group, ItemKind
from app.state.page.optimistic import OptimisticRows

GROUP_NAMES = {
    Group.ATTENTION: "Needs attention",
    Group.REVIEW: "To review",
    Group.PARKED: "Parked",
}
# rows of a group that are shown until a person asks for all
ROWS = 20
# a folded group opens once the selection is so near to its end, so that `j` walks into it
AHEAD = 3
BUSY = {
    ItemKind.PAUSED: "Resetting…",
    ItemKind.ACCOUNT_LIMIT: "Lifting…",
    ItemKind.CHECKS_ERROR: "Trying…",
    ItemKind.QUARANTINED: "Trying…",
    ItemKind.APPROVAL: "Approving…",
    ItemKind.CHANGE: "Merging…",
    ItemKind.PUSH_REFUSED: "Pushing…",
}


@dataclass(frozen=True)
class GroupView:
    """A group with the rows that it shows now, and how many it has."""

    group: Group
    rows: tuple[InboxItem, ...]
    count: int

    @property
    def name(self) -> str:
        """The group's heading."""
        return GROUP_NAMES[self.group]


class InboxBoard:
    """The items by group, newest first in each; `project_id` limits them to one project."""

    def __init__(self) -> None:
        self._rows: OptimisticRows[InboxItem] = OptimisticRows(_key_of, _order)
        self._arranged: tuple[object, dict[str, list[InboxItem]]] = (None, {})
        self._whole: set[Group] = set()
        self._opened: set[Group] = {Group.ATTENTION, Group.REVIEW}
        self._picked: set[str] = set()
        self._unread: set[str] = set()
        self._was_shown: list[str] = []
        self.project_id: str | None = None
        self.selected_id: str | None = None
        # False until the items have been read once
        self.is_known = False

    def load(self, items: Iterable[InboxItem]) -> None:
        """Replace the items by a fresh snapshot; pending actions stay."""
        snapshot = list(items)
        self._rows.load(snapshot)
        self.is_known = True
        self._unread = {one.id for one in snapshot if one.unread}
        self._picked &= {one.id for one in self._rows.unsorted()}

    def items(self, group: Group) -> list[InboxItem]:
        """Return all items of a group, newest first, of the chosen project only."""
        # arranged once for each change: every part of the page asks for it
        at = self._rows.version, self.project_id
        if self._arranged[0] != at:
            groups: dict[str, list[InboxItem]] = {}
            for one in self._rows.visible():
                if self.project_id in (None, one.project_id):
                    groups.setdefault(one.group, []).append(one)
            self._arranged = at, groups
        return list(self._arranged[1].get(group, ()))

    def groups(self) -> list[GroupView]:
        """Return the groups that have items, in the order of the page."""
        found: list[GroupView] = []
        for group in Group:
            own = self.items(group)
            rows = own if group in self._whole else own[:ROWS]
            if own:
                shown = tuple(rows) if self.is_open(group) else ()
                found.append(GroupView(group, shown, len(own)))
        return found

    def find(self, item_id: str) -> InboxItem | None:
        """Return an item as it is shown, None if it is gone."""
        return self._rows.shown(item_id)

    # --- what is new ---------------------------------------------------------------------------

    def set_unread(self, ids: Iterable[str]) -> None:
        """Have exactly these items unread."""
        self._unread = set(ids)

    def mark_read(self, item_id: str) -> bool:
        """Mark an item as read; return False if it was."""
        was_unread = item_id in self._unread
        self._unread -= {item_id}
        return was_unread

    def is_unread(self, item: InboxItem) -> bool:
        """Return True for an item that this person has not read."""
        return item.id in self._unread

    # --- folding -------------------------------------------------------------------------------

    def show_all(self, group: Group) -> None:
        """Show all rows of a group from now on."""
        self._whole.add(group)

    def is_open(self, group: Group) -> bool:
        """Return True if a group shows its rows; the parked ones are folded at first."""
        return group in self._opened

    def toggle(self, group: Group) -> None:
        """Fold a group, or open it."""
        self._opened ^= {group}

    # --- the selected row ----------------------------------------------------------------------

    @property
    def selected(self) -> InboxItem | None:
        """The selected item, None if no row is."""
        return self.find(self.selected_id) if self.selected_id else None

    def select(self, item_id: str) -> bool:
        """Select a row; return True if that opened the rest of its group."""
        item = self.find(item_id)
        if item is None:
            return False
        self.selected_id = item_id
        if item.group in self._whole:
            return False
        own = [one.id for one in self.items(item.group)]
        is_at_end = own.index(item_id) >= ROWS - AHEAD if item_id in own else False
        if is_at_end and len(own) > ROWS:
            self.show_all(item.group)
            return True
        return False

    def reveal(self, item_id: str) -> bool:
        """Select an item that may be folded away; return False if it is gone."""
        item = self.find(item_id)
        if item is None:
            return False
        self._opened.add(item.group)
        if item_id in [one.id for one in self.items(item.group)[ROWS:]]:
            self.show_all(item.group)
        self.selected_id = item_id
        return True

    def settle(self) -> None:
        """Keep the selection on a row: the one that took the place of a row that is gone."""
        shown = [one.id for group in self.groups() for one in group.rows]
        before, self._was_shown = self._was_shown, shown
        if self.selected_id in shown:
            return
        there = set(shown)
        place = before.index(self.selected_id) if self.selected_id in before else 0
        later = next((one for one in before[place:] if one in there), None)
        earlier = next((one for one in reversed(before[:place]) if one in there), None)
        self.selected_id = later or earlier or next(iter(shown), None)

    def place_of(self, item: InboxItem) -> tuple[int, int]:
        """Return an item's place in its group, from 1, and how many the group has."""
        own = [one.id for one in self.items(item.group)]
        return (own.index(item.id) + 1 if item.id in own else 0), len(own)

    # --- picked changes ------------------------------------------------------------------------

    def pick(self, item_id: str) -> None:
        """Pick a change to be merged with others, or leave it out again."""
        item = self.find(item_id)
        if item is not None and item.kind is ItemKind.CHANGE:
            self._picked ^= {item_id}

    def unpick(self) -> None:
        """Leave all out again."""
        self._picked.clear()

    def is_picked(self, item: InboxItem) -> bool:
        """Return True for a change that is picked."""
        return item.id in self._picked

    @property
    def picked(self) -> list[InboxItem]:
        """The picked changes in the order in which they are merged: oldest first."""
        return [one for one in reversed(self.items(Group.REVIEW)) if one.id in self._picked]

    @property
    def passing(self) -> list[InboxItem]:
        """The changes whose required checks all passed, oldest first; no drafts."""
        return [one for one in reversed(self.items(Group.REVIEW)) if _passes(one)]

    # --- actions -------------------------------------------------------------------------------

    def word_of(self, item: InboxItem) -> str:
        """Return the busy word of an item, "" if nothing is pending."""
        return self._rows.word_of(item.id)

    async def act(
        self,
        item: InboxItem,
        act: Callable[[], Awaitable[Any]],
        show: Callable[[], object],
        word: str = "",
    ) -> None:
        """Do an item's main action; it goes once that is done. Raises what `act` raises.

        A change that its forge merges later stays.
        """

        async def drop() -> None:
            answer = await act()
            if not (isinstance(answer, ChangeOut) and answer.state == "open"):
                self._rows.drop(item.id)

        await self._rows.attempt(item, drop, word=word or BUSY[item.kind], show=show)


# the deeds of the actions that `action_of` does
DEED_OF_KIND = {
    ItemKind.PAUSED: "reset",
    ItemKind.CHECKS_ERROR: "try_checks_again",
    ItemKind.QUARANTINED: "retry_stuck",
    ItemKind.ACCOUNT_LIMIT: "lift",
    ItemKind.APPROVAL: "approve",
    ItemKind.PUSH_REFUSED: "deliver",
    ItemKind.CHANGE: "merge",
}


def deed_of(item: InboxItem) -> str:
    """Return the deed of an item's main action, "" for one that only opens a page."""
    clashes = item.facts is not None and bool(item.facts.conflicts)
    if is_scheduled(item) and not clashes:
        return ""
    return "resolve_conflicts" if clashes else DEED_OF_KIND.get(item.kind, "")


def action_of(api: ApiClient, item: InboxItem) -> Callable[[], Awaitable[Any]] | None:
    """Return the call of an item's main action, None if a person does it on the item's page."""
    _, _, rest = item.id.partition(":")
    project = item.project_id or ""
    match item.kind:
        case ItemKind.PAUSED:
            return lambda: api.reset(project)
        case ItemKind.CHECKS_ERROR:
            return lambda: api.try_checks_again(project)
        case ItemKind.QUARANTINED:
            return lambda: api.try_again(rest)
        case ItemKind.ACCOUNT_LIMIT:
            agent, _, family = rest.partition(":")
            return lambda: api.lift_hold(agent, family)
        case ItemKind.APPROVAL if item.approval is not None:
            approval = item.approval
            return lambda: api.approve(approval)
        case ItemKind.PUSH_REFUSED if item.run_id is not None:
            run_id = item.run_id
            return lambda: api.deliver(run_id)
        case ItemKind.CHANGE if item.change is not None:
            number = item.change
            return lambda: api.merge(project, number)
        case _:
            return None


def acts_here(api: ApiClient, item: InboxItem) -> bool:
    """Return True if an item's main action is done in the inbox, not on the item's page."""
    clashes = item.facts is not None and bool(item.facts.conflicts)
    if is_scheduled(item) and not clashes:
        return False
    return item.run_id is not None if clashes else action_of(api, item) is not None


def is_scheduled(item: InboxItem) -> bool:
    """Return True for a change that its forge merges by itself."""
    return item.facts is not None and item.facts.merge_waits is not None


def projects_of(items: Sequence[InboxItem]) -> list[str]:
    """Return the ids of the projects that have items."""
    return sorted({one.project_id for one in items if one.project_id})


def _passes(item: InboxItem) -> bool:
    facts = item.facts
    if facts is None or facts.draft or facts.conflicts or facts.merge_waits:
        return False
    return facts.checks > 0 and not facts.red


def _key_of(item: InboxItem) -> str:
    return item.id


def _order(item: InboxItem) -> tuple[object, str]:
    return item.at, item.id
