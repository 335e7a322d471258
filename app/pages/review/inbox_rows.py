"""A row of the inbox: drawn once, and changed in place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nicegui import ui

from app.api.schemas import RecentFailure
from app.api.schemas.inbox import ChangeFactsOut, InboxItem
from app.domain.review.inbox import Group, ItemKind
from app.pages.components.buttons import button, link_button
from app.pages.components.countdown import ago_html, until_html
from app.pages.components.icons import Mark, icon, mark
from app.pages.components.markup import clean, coded_html, counted, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.review.inbox_board import InboxBoard, acts_here
from app.state.review.inbox_words import checks_words, cost_of

WARNS = {ItemKind.ACCOUNT_LIMIT, ItemKind.DISK_LOW, ItemKind.NOTIFICATIONS_FAILING}


@dataclass(frozen=True)
class RowActs:
    """The deeds of a row's buttons: its main action, and picking it for a bulk merge."""

    act: Callable[[InboxItem], Awaitable[None]]
    pick: Callable[[InboxItem], None]


class InboxRow:
    """One row; `show` changes what is new, so that focus and scroll stay."""

    def __init__(
        self, session: PageSession, board: InboxBoard, item: InboxItem, acts: RowActs
    ) -> None:
        self._session, self._board, self._acts = session, board, acts
        self._item = item
        self._busy: ui.html | None = None
        # few elements, made with their words: a page draws dozens of rows before it answers
        with testid(ui.element("div"), "inbox-item", kind=item.kind, id=item.id) as self.element:
            self.element.classes(f"list-row {item.group}").props("role=row aria-selected=false")
            self.element.props["data-row"] = item.id
            self._show_unread(item)
            with ui.element("div").classes("lead").props("role=gridcell"):
                self._mark = ui.html(mark(mark_of(item)), sanitize=clean)
                self._pick = self._draw_pick(item) if item.kind is ItemKind.CHANGE else None
            with ui.element("div").classes("what").props("role=gridcell"):
                self._link = ui.link(plain(item.title), item.url).classes("t1 clip")
                self._meta = ui.html(meta_html(item, session), sanitize=clean).classes("t2")
                self._why = self._draw_why(item) if item.kind is ItemKind.PAUSED else None
            with ui.element("div").classes("end").props("role=gridcell") as self._end:
                self._age = ui.html(_age_html(item, session), sanitize=clean).classes("when")
                self._action = self._draw_action(item)
        self._show_busy()

    def _draw_pick(self, item: InboxItem) -> ui.element:
        box = ui.element("button").classes("pick").props("type=button role=checkbox")
        box.props["aria-label"] = f"Select {plain(item.title)}"
        box.props["aria-checked"] = str(self._board.is_picked(item)).lower()
        box.on("click", lambda: self._acts.pick(self._item))
        return testid(box, "inbox-pick")

    def _draw_why(self, item: InboxItem) -> ui.html:
        return ui.html(_why_html(item, self._session), sanitize=clean)

    def _draw_action(self, item: InboxItem) -> ui.element:
        made: ui.element
        if not acts_here(self._session.api, item):
            made = link_button(item.action, item.url, kind="small", mark="inbox-action")
        else:
            made = button(item.action, self._press, kind="small", mark="inbox-action")
        made.props["aria-label"] = f"{item.action}: {plain(item.title)}"
        return made

    async def _press(self) -> None:
        await self._acts.act(self._item)

    def show(self, item: InboxItem) -> None:
        """Bring the row in line with its item."""
        before, self._item = self._item, item
        self._mark.set_content(mark(mark_of(item)))
        self._link.set_text(plain(item.title))
        self._meta.set_content(meta_html(item, self._session))
        if self._why is not None:
            self._why.set_content(_why_html(item, self._session))
        if before.action != item.action:
            # another element: a press of what it said before must not do what it says now
            self._action.delete()
            with self._end:
                self._action = self._draw_action(item)
        self._age.set_content(_age_html(item, self._session))
        self._show_unread(item)
        self._show_busy()
        if self._pick is not None:
            is_picked = str(self._board.is_picked(item)).lower()
            if self._pick.props["aria-checked"] != is_picked:
                self._pick.props["aria-checked"] = is_picked

    def _show_unread(self, item: InboxItem) -> None:
        is_unread = self._board.is_unread(item)
        self.element.classes(**{"add" if is_unread else "remove": "unread"})

    def _show_busy(self) -> None:
        word = self._board.word_of(self._item)
        if word and self._busy is None:
            with self._end:
                self._busy = ui.html("", sanitize=clean, tag="span").classes("busy")
            self._busy.move(target_index=1)
        if self._busy is not None:
            self._busy.set_content(text(word))
            self._busy.set_visibility(bool(word))
            self._action.set_visibility(not word)


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
    if facts.conflicts:
        files = plain_html(", ".join(facts.conflicts))
        sign = icon("git-merge", kind="s")
        parts.append(f'<span class="k cw" title="{files}">{sign}Conflicts</span>')
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
