"""The list of the inbox: its groups, whose rows are drawn once and changed in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from nicegui import ui

from app.api.schemas import ParkedOut
from app.api.schemas.inbox import InboxItem
from app.domain.formatting import size_words
from app.domain.review.inbox import Group
from app.pages.components.buttons import button
from app.pages.components.icons import icon
from app.pages.components.markup import clean, text
from app.pages.components.testids import testid
from app.pages.review.inbox_rows import InboxRow, RowActs
from app.pages.shell.page_session import PageSession
from app.state.review.inbox_board import GROUP_NAMES, GroupView, InboxBoard


class InboxGroup:
    """A section: its head, its rows, and the button that shows the rest."""

    def __init__(
        self,
        session: PageSession,
        board: InboxBoard,
        group: Group,
        acts: RowActs,
        redraw: Callable[[], None],
    ) -> None:
        self._session, self._board, self.group = session, board, group
        self._acts, self._redraw = acts, redraw
        self._rows: dict[str, InboxRow] = {}
        self._seen: dict[str, object] = {}
        name = GROUP_NAMES[group]
        with ui.element("section").classes(f"sect {group}") as self.element:
            self.element.props["aria-label"] = name
            with ui.element("div").classes("section-row") as self.head:
                if group is Group.PARKED:
                    self._draw_fold(name)
                else:
                    ui.html(name, sanitize=clean, tag="h2")
                self._count = ui.html("", sanitize=clean, tag="span").classes("n")
                ui.element("span").classes("sp")
                self.beside = ui.element("span").classes("beside")
            self._box = ui.element("div").classes("rows").props("role=grid")
            self._box.props["aria-label"] = name
            self._more = button("", self._show_all, kind="small bare", mark="group-more")
        self.element.set_visibility(False)

    def _draw_fold(self, name: str) -> None:
        fold = ui.element("button").classes("fold").props("type=button aria-expanded=false")
        with testid(fold, "group-fold"):
            ui.html(icon("chevron-right", kind="s"), sanitize=clean, tag="span")
            ui.html(name, sanitize=clean, tag="h2")
        fold.on("click", self._toggle)
        self._fold = fold

    def show(self, view: GroupView | None) -> None:
        """Bring the section in line with its group; None stands for one without items."""
        self.element.set_visibility(view is not None)
        rows = view.rows if view is not None else ()
        self._arrange(rows)
        if view is None:
            return
        self._count.set_content(str(view.count))
        is_open = self._board.is_open(self.group)
        self._box.set_visibility(is_open)
        if self.group is Group.PARKED:
            self._fold.props["aria-expanded"] = str(is_open).lower()
        has_more = is_open and view.count > len(rows)
        self._more.set_visibility(has_more)
        if has_more:
            self._more.set_text(f"Show all {view.count}")

    def _arrange(self, items: Sequence[InboxItem]) -> None:
        there = {item.id for item in items}
        for gone in self._rows.keys() - there:
            self._rows.pop(gone).delete()
            self._seen.pop(gone, None)
        for place, item in enumerate(items):
            row = self._rows.get(item.id)
            seen = self._face_of(item)
            if row is None:
                with self._box:
                    row = InboxRow(self._session, self._board, item, self._acts)
                self._rows[item.id] = row
            elif self._seen[item.id] != seen:
                row.show(item)
            self._seen[item.id] = seen
            if self._box.default_slot.children[place] is not row:
                row.move(target_index=place)

    def _face_of(self, item: InboxItem) -> tuple[object, ...]:
        project = self._session.board.get(item.project_id) if item.project_id else None
        failures = tuple(project.recent_failures) if project else ()
        name = project.name if project else ""
        state = self._board.word_of(item), self._board.is_picked(item), self._board.is_unread(item)
        return item, state, name, failures

    def _show_all(self) -> None:
        self._board.show_all(self.group)
        self._redraw()

    def _toggle(self) -> None:
        self._board.toggle(self.group)
        self._redraw()


class InboxList:
    """The groups. Attention and review stand in the scroller, the parked ones at its foot."""

    def __init__(
        self, session: PageSession, board: InboxBoard, acts: RowActs, redraw: Callable[[], None]
    ) -> None:
        self._session, self._board = session, board
        make = partial(InboxGroup, session, board, acts=acts, redraw=redraw)
        self._groups = {one: make(group=one) for one in (Group.ATTENTION, Group.REVIEW)}
        self._clear = ui.html("", sanitize=clean).classes("clear-all")
        self._clear.set_visibility(False)
        self.cards = ui.element("div").classes("inbox-cards")
        self._make_parked = partial(make, group=Group.PARKED)

    @property
    def review(self) -> InboxGroup:
        """The section of the open changes."""
        return self._groups[Group.REVIEW]

    def draw_parked(self) -> InboxGroup:
        """Draw the parked section here, below the scroller."""
        self._groups[Group.PARKED] = self._make_parked()
        return self._groups[Group.PARKED]

    def show(self) -> None:
        """Bring all sections in line with the board."""
        views = {view.group: view for view in self._board.groups()}
        for group, section in self._groups.items():
            section.show(views.get(group))
        self.show_clear()

    def show_clear(self) -> None:
        """Say that nothing waits, and how many runs are working."""
        views = self._board.groups()
        is_clear = self._board.is_known and not views and bool(self._session.board.listing())
        self._clear.set_visibility(is_clear)
        if is_clear:
            self._clear.set_content(clear_html(self._session.board.live_runs))


def clear_html(live: int) -> str:
    """Return what the inbox says while nothing waits."""
    runs = f"{live} run{'s are' if live != 1 else ' is'} working." if live else "Nothing waits."
    go = '<a class="btn" href="/runs">See what is running</a>' if live else ""
    sign = f'<span class="sign">{icon("check", kind="l")}</span>'
    return f"{sign}<b>All clear</b><span>{text(runs)}</span>{go}"


class ParkedSums:
    """`1.8 GB`; measured again once other work is parked."""

    def __init__(self, session: PageSession, place: ui.element) -> None:
        self._session = session
        self._known: list[str] = []
        self._has_arrived = False
        self._look = session.looker(session.api.parked, self._show)
        # git reads every copy for it: nobody's first look waits for that
        session.on_arrival(self._arrive)
        with place:
            self._words = ui.html("", sanitize=clean, tag="span")

    def follow(self, ids: Sequence[str]) -> None:
        """Measure again if these are other items than before."""
        if list(ids) != self._known:
            self._known = list(ids)
            self._measure()

    def _arrive(self) -> None:
        self._has_arrived = True
        self._measure()

    def _measure(self) -> None:
        if self._has_arrived and self._known:
            self._session.start(self._look())

    def _show(self, kept: list[ParkedOut]) -> None:
        self._words.set_content(text(sums_of(kept)))


def sums_of(kept: Sequence[ParkedOut]) -> str:
    """Return the size of all copies, with `+` where one is not measured yet; "" without any."""
    sizes = [one.bytes for one in kept if one.bytes is not None]
    if not sum(sizes):
        return ""
    return f"{size_words(sum(sizes))}{'+' if len(sizes) < len(kept) else ''}"
