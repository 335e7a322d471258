"""The field of an issue's blockers: those it has, and a search that adds others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from nicegui import ui

from app.api.schemas import BoardIssueOut
from app.domain.issues import issue_named
from app.pages.components.absent import ABSENT
from app.pages.components.buttons import button
from app.pages.components.icons import mark
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.pages.tracker.issue_rows import MARKS
from app.pages.tracker.words import issue_path
from app.state.tracker.issue_board import BoardFilter

# stands alone: the form of a new issue and the page of an issue have it
MOST_FOUND = 6


class BlockerField:
    """`add` and `remove` get the number of a blocker; the owner then shows the new list."""

    def __init__(
        self,
        session: PageSession,
        add: Callable[[int], Any],
        remove: Callable[[int], Any],
        *,
        may_write: bool,
    ) -> None:
        self._add, self._remove = add, remove
        session.on_close(self._end)
        self._project_id, self._itself = "", 0
        self._numbers: Sequence[int] = ()
        self._known: Mapping[int, BoardIssueOut] = {}
        self._drawn: object = None
        self._list = ui.element("div").classes("blockers")
        self._search = self._draw_search() if may_write else ABSENT
        self._found = ui.element("div").classes("found")
        self._below = ui.html("", sanitize=clean)

    def _draw_search(self) -> ui.input:
        search = testid(ui.input(placeholder="Add by number or title"), "blocked-by-search")
        search.props("outlined dense hide-bottom-space debounce=100 autocomplete=off")
        search.classes("in").props["aria-label"] = "Add an issue that blocks this one"
        return search.on_value_change(self._find).on("keydown.enter.prevent", self._add_first)

    def _end(self) -> None:
        # these know their owner: without them a closed page is gone at once
        self._add = self._remove = _nothing

    @property
    def typed(self) -> str:
        """Words in the search that have added nothing."""
        return str(self._search.value or "").strip()

    def show(
        self,
        project_id: str,
        numbers: Sequence[int],
        known: Mapping[int, BoardIssueOut],
        *,
        itself: int = 0,
        may_write: bool = True,
    ) -> None:
        """Show these blockers; `known` are the issues that can be found by their titles."""
        are_new = self._known != known
        self._project_id, self._numbers, self._known = project_id, list(numbers), known
        self._itself = itself
        if are_new and self.typed:
            self._offer()
        self._search.set_visibility(may_write)
        rows = [(number, known.get(number)) for number in numbers]
        if (rows, may_write) == self._drawn:
            return
        self._drawn = (rows, may_write)
        self._list.clear()
        with self._list:
            for number, one in rows:
                with ui.element("div").classes("line"):
                    ui.html(self._row_html(number, one), sanitize=clean).classes("grow")
                    if may_write:
                        remove = partial(self._remove, number)
                        made = button("×", remove, kind="small quiet ico", mark="blocked-by-remove")
                        made.props["aria-label"] = f"No longer blocked by #{number}"

    def refuse(self, sentence: str) -> None:
        """Show an error below the search; typing or a new list clears it."""
        said = f'<div class="wrong" data-testid="field-error">{text(sentence)}</div>'
        self._below.set_content(said if sentence else "")
        self._search.props["aria-invalid"] = str(bool(sentence)).lower()

    def clear_search(self) -> None:
        """Forget the words in the search."""
        self._search.set_value("")

    def _row_html(self, number: int, one: BoardIssueOut | None) -> str:
        sign = mark(MARKS[one.state]) if one else ""
        title = plain_html(one.title) if one else "Issue"
        path = text(issue_path(self._project_id, number))
        return f'{sign}<a class="clip" href="{path}">{title}</a><span class="mut">#{number}</span>'

    def _matches(self) -> list[int]:
        asked = self.typed
        if not asked:
            return []
        taken = {self._itself, *self._numbers}
        wanted = BoardFilter(q=asked)
        found = [one.number for one in self._known.values() if wanted.lets(one)]
        named = issue_named(asked if asked.startswith("#") else f"#{asked}")
        if named is not None:
            found = [named, *(one for one in found if one != named)]
        return [number for number in found if number not in taken][:MOST_FOUND]

    def _find(self) -> None:
        self.refuse("")
        self._offer()

    def _offer(self) -> None:
        self._found.clear()
        with self._found:
            for number in self._matches():
                with ui.element("button").classes("item").props("type=button") as made:
                    ui.html(self._option_html(number), sanitize=clean, tag="span")
                testid(made, "blocked-by-option").on("click", partial(self._choose, number))

    def _option_html(self, number: int) -> str:
        one = self._known.get(number)
        sign, title = (mark(MARKS[one.state]), plain_html(one.title)) if one else ("", "Issue")
        return f'{sign}<span class="clip">{title}</span><span class="mut">#{number}</span>'

    async def _add_first(self) -> None:
        if found := self._matches():
            await self._choose(found[0])

    async def _choose(self, number: int) -> None:
        self.clear_search()
        if (adding := self._add(number)) is not None:
            await adding


def _nothing(_: int) -> None:
    """Take the place of a deed on a page that is closed."""
