"""The inbox as one page shows it: groups of items, those being acted on included."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from app.api.client.client import ApiClient
from app.api.schemas.inbox import InboxItem, ReportOfRuns
from app.domain.review.inbox import Group, ItemKind
from app.state.page.optimistic import OptimisticRows

GROUP_NAMES = {
    Group.ATTENTION: "Needs attention",
    Group.REVIEW: "To review",
    Group.PARKED: "Parked",
}
# rows of a group that are shown until a person asks for all
ROWS = 20
BUSY = {
    ItemKind.PAUSED: "Resetting…",
    ItemKind.ACCOUNT_LIMIT: "Lifting…",
    ItemKind.CHECKS_ERROR: "Trying…",
    ItemKind.QUARANTINED: "Trying…",
    ItemKind.CHANGE: "Merging…",
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
    """The items by group, newest first in each."""

    def __init__(self) -> None:
        self._rows: OptimisticRows[InboxItem] = OptimisticRows(_key_of, _order)
        self._whole: set[Group] = set()

    def load(self, items: Iterable[InboxItem]) -> None:
        """Replace the items by a fresh snapshot; pending actions stay."""
        self._rows.load(items)

    def groups(self) -> list[GroupView]:
        """Return the groups that have items, in the order of the page."""
        rows = self._rows.visible()
        found: list[GroupView] = []
        for group in Group:
            own = [one for one in rows if one.group == group]
            shown = own if group in self._whole else own[:ROWS]
            if own:
                found.append(GroupView(group, tuple(shown), len(own)))
        return found

    def show_all(self, group: Group) -> None:
        """Show all rows of a group from now on."""
        self._whole.add(group)

    def word_of(self, item: InboxItem) -> str:
        """Return the busy word of an item, "" if nothing is pending."""
        return self._rows.word_of(item.id)

    async def act(
        self, item: InboxItem, act: Callable[[], Awaitable[Any]], show: Callable[[], object]
    ) -> None:
        """Do an item's main action; it goes once that is done. Raises what `act` raises."""

        async def drop() -> None:
            await act()
            self._rows.drop(item.id)

        await self._rows.attempt(item, drop, word=BUSY[item.kind], show=show)


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
        case ItemKind.CHANGE if item.change is not None:
            number = item.change
            return lambda: api.merge(project, number)
        case _:
            return None


def report_words(report: ReportOfRuns) -> list[str]:
    """Return the parts of the line `Since …`: `41 delivered`, `6 failed`; zero parts left out."""
    parts = (
        (report.delivered, "delivered"),
        (report.failed, "failed"),
        (report.waiting_for_limit, "waiting for a limit"),
    )
    words = [f"{count} {what}" for count, what in parts if count]
    if cost := cost_words(report.cost_usd, report.cost_unknown):
        words.append(cost)
    return words


def cost_words(cost: float | None, unknown: int) -> str:
    """Return a cost in whole dollars, with `+` where runs did not report theirs; "" if none did."""
    if cost is None:
        return ""
    whole = math.ceil(cost) if 0 < cost < 1 else round(cost)
    return f"${whole}{'+' if unknown else ''}"


def _key_of(item: InboxItem) -> str:
    return item.id


def _order(item: InboxItem) -> tuple[object, str]:
    return item.at, item.id
