"""A row of the inbox: drawn once (assets/inbox_row.js), and changed in place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from app.api.schemas import RecentFailure
from app.api.schemas.inbox import ChangeFactsOut, InboxItem
from app.domain.review.inbox import Group, ItemKind
from app.domain.tracker.merge_waits import WAIT_LABELS
from app.pages.components.countdown import ago_html, until_html
from app.pages.components.icons import Mark, icon, mark
from app.pages.components.markup import clean, coded_html, counted, plain, plain_html, text
from app.pages.components.testids import give
from app.pages.review.inbox_acts import may_do
from app.pages.shell.first_content import DrawsItself, attributes, props_of
from app.pages.shell.page_session import PageSession
from app.state.review.inbox_board import InboxBoard, acts_here
from app.state.review.inbox_words import checks_words, cost_of

WARNS = {ItemKind.ACCOUNT_LIMIT, ItemKind.DISK_LOW, ItemKind.NOTIFICATIONS_FAILING}


@dataclass(frozen=True)
class RowActs:
    """The deeds of a row's buttons: its main action, and picking it for a bulk merge."""

    act: Callable[[InboxItem], Awaitable[None]]
    pick: Callable[[InboxItem], None]


class InboxRow(ui.element, DrawsItself, component="../../../assets/inbox_row.js"):
    """One row; `show` changes what is new, so that focus and scroll stay.

    It is one element, with two more for its buttons: a page draws dozens of rows before it answers.
    """

    def __init__(
        self, session: PageSession, board: InboxBoard, item: InboxItem, acts: RowActs
    ) -> None:
        super().__init__()
        self._session, self._board, self._acts = session, board, acts
        self._item = item
        fixed = {
            "data-testid": "inbox-item",
            "data-kind": item.kind,
            "data-id": item.id,
            "data-row": item.id,
            "role": "row",
            "aria-selected": "false",
        }
        give(self, fixed | self._changing_props(item))
        self.mark("inbox-item")
        unread = " unread" if board.is_unread(item) else ""
        self.classes(f"list-row {item.group}{unread}")
        can_pick = item.kind is ItemKind.CHANGE and session.may("merge", item.project_id)
        self._pick = self._draw_pick(item) if can_pick else None
        with self:
            self._action = self._draw_action(item)
        self._show_busy()

    def first_html(self) -> tuple[str, str]:
        """Return what assets/inbox_row.js draws, with buttons that do not react yet."""
        props = props_of(self)
        marks = {name: props[name] for name in props if name.startswith("data-")}
        about = {"class": " ".join(self.classes), "role": "row", "aria-selected": "false"}
        link = attributes({"class": "nicegui-link t1 clip", "href": props["url"]})
        why = f"<div>{props['why']}</div>" if props["why"] else ""
        busy = f'<span class="busy">{text(props["busy"])}</span>' if props["busy"] else ""
        pick = f"<button inert{attributes(props_of(self._pick))}></button>" if self._pick else ""
        return (
            f"<div{attributes(about | marks)}>"
            f'<div class="lead" role="gridcell"><div>{mark(props["mark"])}</div>{pick}</div>'
            f'<div class="what" role="gridcell"><a{link}>{text(props["name"])}</a>'
            f'<div class="t2">{props["meta"]}</div>{why}</div>'
            f'<div class="end" role="gridcell"><div class="when">{props["age"]}</div>{busy}'
        ), "</div></div>"

    def _changing_props(self, item: InboxItem) -> dict[str, Any]:
        """Return the properties of assets/inbox_row.js; they change with the item."""
        return {
            "mark": mark_of(item),
            "url": item.url,
            "name": plain(item.title),
            "meta": clean(meta_html(item, self._session)),
            "why": clean(_why_html(item, self._session)),
            "age": clean(_age_html(item, self._session)),
            "busy": self._board.word_of(item),
        }

    def _draw_pick(self, item: InboxItem) -> ui.element:
        with self.add_slot("pick"):
            box = ui.element("button").classes("pick").mark("inbox-pick")
        fixed = {
            "data-testid": "inbox-pick",
            "type": "button",
            "role": "checkbox",
            "aria-label": f"Select {plain(item.title)}",
            "aria-checked": str(self._board.is_picked(item)).lower(),
        }
        give(box, fixed)
        box.on("click", self._turn)
        return box

    def _turn(self) -> None:
        self._acts.pick(self._item)

    def _draw_action(self, item: InboxItem) -> ui.element:
        words, name = item.action, "inbox-action"
        if not may_do(self._session, item):
            words, name = "Open", "inbox-open"
            made = ui.link(words, item.url)
        elif not acts_here(self._session.api, item):
            made = ui.link(words, item.url)
        else:
            made = TextElement(tag="button", text=item.action).on("click", self._press)
            made.props["type"] = "button"
        about = f"{words}: {plain(item.title)}"
        give(made, {"data-testid": name, "aria-label": about})
        return made.classes("btn small").mark(name)

    async def _press(self) -> None:
        await self._acts.act(self._item)

    def show(self, item: InboxItem) -> None:
        """Bring the row in line with its item."""
        before, self._item = self._item, item
        values, shown = self._changing_props(item), props_of(self)
        if any(shown[name] != value for name, value in values.items()):
            self.props.update(values)
        if before.action != item.action:
            # another element: a press of what it said before must not do what it says now
            self._action.delete()
            with self:
                self._action = self._draw_action(item)
        self.classes(**{"add" if self._board.is_unread(item) else "remove": "unread"})
        self._show_busy()
        if self._pick is not None:
            is_picked = str(self._board.is_picked(item)).lower()
            if self._pick.props["aria-checked"] != is_picked:
                self._pick.props["aria-checked"] = is_picked

    def _show_busy(self) -> None:
        self._action.set_visibility(not self._board.word_of(self._item))


def mark_of(item: InboxItem) -> Mark:
    """Return the mark of an item's state."""
    if item.group is Group.PARKED:
        return "stopped"
    if item.facts is not None:
        if item.facts.red:
            return "fail"
        return "warn" if item.facts.conflicts else "review"
    return "warn" if item.kind in WARNS else "attn"


def meta_html(item: InboxItem, session: PageSession) -> str:
    """Return the line below a title: facts of a change, or the sentence of another item."""
    project = session.board.get(item.project_id) if item.project_id else None
    # the titles of items that need attention name their project
    is_named = item.group is Group.ATTENTION
    parts = [f'<span class="ink">{plain_html(project.name)}</span>'] if project else []
    if item.facts is not None:
        return "".join([*parts, *_change_parts(item.facts)])
    parts = [] if is_named else parts
    parts.append(f'<span class="clip">{coded_html(item.sentence)}</span>')
    if item.until is not None:
        parts.append(f"<span>Resumes in {until_html(item.until, session.now())}.</span>")
    return "".join(parts)


def _change_parts(facts: ChangeFactsOut) -> list[str]:
    parts = [f'<span class="wide">{plain_html(facts.agent)}</span>'] if facts.agent else []
    parts.append(size_html(facts.additions, facts.deletions))
    parts.append(f'<span class="wide">{counted(facts.files_changed, "file")}</span>')
    parts.append(checks_html(facts))
    if facts.ci_failed:
        parts.append(f'<span class="k cs">{icon("x", kind="s")}CI failed</span>')
    if waiting := facts.reviews_waiting:
        about = "Review comments that wait for you"
        parts.append(f'<span class="k cw" title="{about}">{counted(waiting, "comment")}</span>')
    if facts.conflicts:
        files = plain_html(", ".join(facts.conflicts))
        sign = icon("git-merge", kind="s")
        parts.append(f'<span class="k cw" title="{files}">{sign}Conflicts</span>')
    if facts.merge_waits is not None:
        sign = icon("git-merge", kind="s")
        parts.append(f'<span class="k">{sign}{WAIT_LABELS[facts.merge_waits]}</span>')
    elif facts.merge_note is not None:
        about = plain_html(facts.merge_note)
        parts.append(f'<span class="k cw" title="{about}">Not merged by itself</span>')
    if facts.draft:
        parts.append('<span class="k cw">Draft</span>')
    return parts


def checks_html(facts: ChangeFactsOut) -> str:
    """Return what the checks said, with a sign that tells it without its color."""
    words = text(checks_words(facts))
    if not facts.checks:
        return f"<span>{words}</span>"
    sign, tone = ("x", "cs") if facts.red else ("check", "cg")
    about = "Checks" if facts.red else "Checks passed"
    return f'<span class="k {tone}" title="{about}">{icon(sign, kind="s")}{words}</span>'


def size_html(additions: int, deletions: int) -> str:
    """Return `+84 −12`."""
    return f'<span class="df"><b>+{additions}</b><i>−{deletions}</i></span>'


def _age_html(item: InboxItem, session: PageSession) -> str:
    cost = cost_of(item.facts) if item.facts else ""
    more = f"<br>{text(cost)}" if cost else ""
    return f"{ago_html(item.at, session.now())}{more}"


def _why_html(item: InboxItem, session: PageSession) -> str:
    """Return the last failures of a paused project."""
    project = session.board.get(item.project_id) if item.project_id else None
    if item.kind is not ItemKind.PAUSED or project is None:
        return ""
    rows = "".join(_failure_html(one, session) for one in project.recent_failures)
    return f'<div class="lately">{rows}</div>' if rows else ""


def _failure_html(one: RecentFailure, session: PageSession) -> str:
    name = f"#{one.issue}" if one.issue is not None else "Run"
    ago = ago_html(one.ended_at, session.now()) if one.ended_at else ""
    return (
        f"<b>{name}</b>"
        f'<span class="clip">{plain_html(one.because or one.label)}</span><span>{ago}</span>'
    )
