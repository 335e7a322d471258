"""The list of issues: groups by state that fold, rows that are updated in place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from nicegui import ui

from app.domain.tracker.issue_states import IssueState
from app.pages.components.buttons import button
from app.pages.components.icons import icon, mark
from app.pages.components.keyed_rows import KeyedRows
from app.pages.components.markup import clean, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.pages.tracker.issue_rows import MARKS, list_row
from app.state.tracker.issue_board import GROUP_NAMES, GroupView, IssueBoardState, key_of

HEADS = (
    ("pri", '<span class="sr">Priority</span>'),
    ("number", '<span class="sr">Number</span>'),
    ("what", "Issue"),
    ("project", "Project"),
    ("next", "What happens next"),
    ("agent", "Agent"),
    ("when", "Updated"),
)
# a press of a button in a row
PRESSED = (
    "(e) => { const b = e.target.closest('[data-act]');"
    " if (b) emit(b.closest('[data-row]').dataset.row); }"
)


class IssuesTable:
    """The groups in the order of a person's work."""

    def __init__(
        self,
        session: PageSession,
        state: IssueBoardState,
        act: Callable[[str], Awaitable[None]],
        redraw: Callable[[], None],
    ) -> None:
        self._session, self._state, self._redraw = session, state, redraw
        with ui.element("div").classes("issues-table") as self._box:
            testid(self._box, "issues-table").props('role=grid aria-label="Issues" data-keys=list')
            heads = "".join(
                f'<span role="columnheader" class="of-{name}">{words}</span>'
                for name, words in HEADS
            )
            ui.html(heads, sanitize=clean).classes("issue-line th").props("role=row")
            self._groups = {one: _Group(one, self._fold, self._show_all) for one in IssueState}

        def pressed(event: Any) -> Awaitable[None]:
            return act(str(event.args))

        self._box.on("click", pressed, js_handler=PRESSED)

    def show(self, groups: list[GroupView], *, is_shown: bool, of_one: bool) -> None:
        """Show these groups; `of_one` leaves out the projects' names."""
        self._box.set_visibility(is_shown)
        if not is_shown:
            return
        if of_one:
            self._box.classes("of-one")
        shown = {group.state: group for group in groups}
        for state, place in self._groups.items():
            group = shown.get(state)
            place.box.set_visibility(group is not None)
            if group is None:
                place.rows.show({})
                continue
            rows = () if group.is_folded else group.rows
            place.head(group)
            place.rows.show(
                {key_of(one): list_row(one, self._session, of_one=of_one) for one in rows}
            )

    def _fold(self, state: IssueState) -> None:
        self._state.fold(state)
        self._redraw()

    def _show_all(self, state: IssueState) -> None:
        self._state.show_all(state)
        self._redraw()


class _Group:
    """A heading that folds, the rows, and the button for the rest of them."""

    def __init__(
        self,
        state: IssueState,
        fold: Callable[[IssueState], None],
        show_all: Callable[[IssueState], None],
    ) -> None:
        self._state = state
        with ui.element("div").props("role=rowgroup") as self.box:
            self.box.props["data-group"] = state
            head = ui.element("div").classes("section-row").props("role=row")
            with head, ui.element("div").props("role=rowheader").classes("grow"):
                self._fold = ui.element("button").classes("fold").props("type=button")
                self._fold.on("click", partial(fold, state))
                with self._fold:
                    self._words = ui.html("", sanitize=clean, tag="span")
            with ui.element("div").props("role=presentation") as rows:
                self.rows = KeyedRows(rows, "issue-row")
            self._rest = ui.element("div").classes("more").props("role=row")
            with self._rest, ui.element("div").props("role=gridcell"):
                self._more = button(
                    "", partial(show_all, state), kind="small quiet", mark="group-more"
                )

    def head(self, group: GroupView) -> None:
        """Show the heading, and how many rows there are beyond those shown."""
        self._fold.props["aria-expanded"] = str(not group.is_folded).lower()
        self._fold.update()
        sign = icon("chevron-right" if group.is_folded else "chevron-down", kind="s")
        self._words.set_content(
            f"{mark(MARKS[self._state])}<span>{text(GROUP_NAMES[self._state])}</span>"
            f'<span class="n num">{group.count}</span>{sign}'
        )
        rest = not group.is_folded and group.loaded > len(group.rows)
        self._rest.set_visibility(rest)
        self._more.set_text(f"Show all {group.loaded}")
