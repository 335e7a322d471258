"""Parts of an issue's page: the field of its blockers, and the prompt of its next run."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import BoardIssueOut, IssueOut, ProjectOut
from app.domain.issues import blockers_of, issue_named
from app.domain.tracker.blockers import with_blocker_added, with_blocker_removed
from app.domain.words import Depth
from app.pages.components.buttons import button
from app.pages.components.icons import icon, mark
from app.pages.components.markup import clean, counted, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.pages.tracker.issue_rows import MARKS
from app.pages.tracker.words import ignored_html, issue_path
from app.state.tracker.issue_board import BoardFilter

MOST_FOUND = 6
BY_HAND = "Its text names this issue in a way that only you can change. Press Edit."


class BlockedBy:
    """The issues that this one waits for; its text keeps them, so that every tracker shows them."""

    def __init__(
        self,
        session: PageSession,
        project_id: str,
        change: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        self._session, self._id, self._change = session, project_id, change
        self._issue: IssueOut | None = None
        self._known: dict[int, BoardIssueOut] = {}
        self._drawn: object = None
        with testid(ui.element("section").classes("stack"), "blocked-by"):
            ui.html("Blocked by", sanitize=clean, tag="h2")
            self._list = ui.element("div").classes("blockers")
            self._notes = ui.html("", sanitize=clean)
            self._search = testid(
                ui.input(placeholder="Add by number or title"), "blocked-by-search"
            )
            self._search.props("outlined dense hide-bottom-space debounce=100").classes("in")
            self._search.props["aria-label"] = "Add an issue that blocks this one"
            self._search.on_value_change(self._find).on("keydown.enter", self._add_first)
            self._found = ui.element("div").classes("found")

    def show(self, issue: IssueOut, others: Sequence[BoardIssueOut], *, is_archived: bool) -> None:
        """Show the present blockers."""
        self._issue, self._known = issue, {one.number: one for one in others}
        may_write = not is_archived and issue.state == "open"
        self._search.set_visibility(may_write)
        self._notes.set_content(ignored_html(issue))
        rows = [(number, self._known.get(number)) for number in blockers_of(issue.body)]
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

    def _row_html(self, number: int, one: BoardIssueOut | None) -> str:
        sign = mark(MARKS[one.state]) if one else ""
        title = plain_html(one.title) if one else "Issue"
        path = text(issue_path(self._id, number))
        return f'{sign}<a class="clip" href="{path}">{title}</a><span class="mut">#{number}</span>'

    def _matches(self) -> list[int]:
        asked = (self._search.value or "").strip()
        if not asked or self._issue is None:
            return []
        taken = {self._issue.number, *blockers_of(self._issue.body)}
        wanted = BoardFilter(q=asked)
        found = [one.number for one in self._known.values() if wanted.lets(one)]
        named = issue_named(asked if asked.startswith("#") else f"#{asked}")
        if named is not None and named not in found:
            found.insert(0, named)
        return [number for number in found if number not in taken][:MOST_FOUND]

    def _find(self) -> None:
        self._found.clear()
        with self._found:
            for number in self._matches():
                with ui.element("button").classes("item").props("type=button") as made:
                    ui.html(self._option_html(number), sanitize=clean, tag="span")
                testid(made, "blocked-by-option").on("click", partial(self._add, number))

    def _option_html(self, number: int) -> str:
        one = self._known.get(number)
        sign, title = (mark(MARKS[one.state]), plain_html(one.title)) if one else ("", "Issue")
        return f'{sign}<span class="clip">{title}</span><span class="mut">#{number}</span>'

    async def _add_first(self) -> None:
        if found := self._matches():
            await self._add(found[0])

    async def _add(self, number: int) -> None:
        self._search.set_value("")
        if self._issue is not None:
            body = with_blocker_added(self._issue.body, number)
            await self._change({"body": body, "was": {"body": self._issue.body}})

    async def _remove(self, number: int) -> None:
        if self._issue is None:
            return
        body = with_blocker_removed(self._issue.body, number)
        if body is None:
            self._session.notify(BY_HAND)
            return
        await self._change({"body": body, "was": {"body": self._issue.body}})


class IssuePrompt:
    """The prompt of the next run; read when it is opened."""

    def __init__(self, session: PageSession, project: ProjectOut, number: int) -> None:
        self._session, self._project, self._number = session, project, number
        self._is_open = False
        with testid(ui.element("details").classes("blk"), "issue-prompt") as box:
            with ui.element("summary").classes("bh"):
                ui.html(f"{icon('bot', kind='s')}What the agent will be told", sanitize=clean)
                self._size = ui.html("", sanitize=clean, tag="span").classes("mut num")
            self._text = ui.html("", sanitize=clean)
        box.on("toggle", self._toggle, js_handler="(e) => emit(e.target.open)")

    async def _toggle(self, event: Any) -> None:
        self._is_open = event.args is True
        await self.look()

    async def look(self) -> None:
        """Read the prompt again if it is shown."""
        if not self._is_open:
            return
        project = self._project
        order = {
            "project_id": project.id,
            "issue": self._number,
            "branch": project.base_branch,
            "depth_level": Depth.STANDARD,
            "target_framework": next(iter(project.frameworks), "pytest"),
            "x_idempotency_key": str(uuid.uuid4()),
        }
        try:
            told = await self._session.api.preview(order)
        except (ApiProblem, NoAnswer) as problem:
            words = problem.detail if isinstance(problem, ApiProblem) else str(problem)
            self._text.set_content(f'<p class="sub">{plain_html(words)}</p>')
            return
        self._size.set_content(text(counted(len(told.text.split()), "word")))
        lines = "\n".join(plain_html(line) for line in told.text.split("\n"))
        self._text.set_content(f'<pre class="body" tabindex="0">{lines}</pre>')
