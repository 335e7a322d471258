"""A project's issues: list, filters, and the actions on each."""

from __future__ import annotations

from functools import partial
from typing import Any

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import IssueOut, ProjectOut
from app.pages.components.buttons import button
from app.pages.components.markup import clean, text
from app.pages.components.testids import testid
from app.pages.runs.new_run import open_run_dialog
from app.pages.shell.page_session import PageSession
from app.pages.tracker.issue_text import IssueForm
from app.pages.tracker.words import issue_html
from app.state.tracker.issue_list import IssueFilter, IssueList, toggled_ready, turned

ROWS = 50


class IssuesTab:
    """Open issues in the order of the queue, or closed ones, each with why it waits."""

    def __init__(self, session: PageSession, project: ProjectOut) -> None:
        self._session = session
        self._id = project.id
        self._limit = ROWS
        self._query = dict(session.client.request.query_params)
        self._issues = IssueList(IssueFilter.from_query(self._query))
        self._rows: dict[int, tuple[tuple[IssueOut, str, bool], ui.element]] = {}
        self.load = session.looker(lambda: session.api.issues(project.id), self._take)
        self._is_archived = project.archived_at is not None
        with ui.element("div").classes("line above"):
            self._filters = ui.html("", sanitize=clean, tag="span").classes("line")
            ui.element("span").classes("sp")
            self._new = button("New issue", self._open_form, mark="new-issue")
        self._form = IssueForm(session, project.id, self.load)
        self._none = testid(ui.html("", sanitize=clean).classes("card none"), "no-issues")
        self._list = ui.element("div").classes("list")
        self._more = button("Show more", self._show_more)
        for shown in (self._none, self._list, self._more):
            shown.set_visibility(False)
        session.on("project.changed", self._follow)
        session.on_return(self.load)

    def _take(self, issues: list[IssueOut]) -> None:
        self._issues.load(issues)
        self._show()

    def _show(self) -> None:
        if self._session.client.is_deleted:
            return
        shown = self._issues.shown()
        self._filters.set_content(self._filters_html())
        self._none.set_content(self._none_html())
        self._new.set_visibility(not self._is_archived)
        self._none.set_visibility(not shown)
        self._list.set_visibility(bool(shown))
        self._more.set_visibility(len(shown) > self._limit)
        self._draw_rows(shown[: self._limit])

    def _filters_html(self) -> str:
        chosen, counts = self._issues.filter, self._issues.counts
        ready = f"{counts['ready']} ready"
        if counts["claimable"] != counts["ready"]:
            ready += f", {counts['claimable']} can start"
        choices = (
            (IssueFilter(), f"{counts['open']} open"),
            (IssueFilter(ready=True), ready),
            (IssueFilter(closed=True), f"{counts['closed']} closed"),
        )
        return "".join(
            f'<a class="chip toggle{" on" if one == chosen else ""}" data-testid="issue-filter"'
            f' href="{text(one.address(self._query))}"'
            f"{' aria-current=true' if one == chosen else ''}>{text(words)}</a>"
            for one, words in choices
        )

    def _none_html(self) -> str:
        if self._issues.is_empty:
            return "No issues yet. Write one, label it ready-for-agent, and a run can take it."
        if self._issues.filter.closed:
            return "No issue is closed yet."
        if self._issues.filter.ready:
            return "No issue is ready. Press Mark ready on an open one, and a run can take it."
        return "Every issue is closed. Write the next one."

    def _draw_rows(self, listing: list[IssueOut]) -> None:
        numbers = {issue.number for issue in listing}
        for number in [one for one in self._rows if one not in numbers]:
            self._rows.pop(number)[1].delete()
        for place, issue in enumerate(listing):
            seen = (issue, self._issues.word_of(issue), self._is_archived)
            drawn = self._rows.get(issue.number)
            if drawn is None or drawn[0] != seen:
                if drawn is not None:
                    drawn[1].delete()
                with self._list:
                    self._rows[issue.number] = (seen, self._draw(*seen))
            row = self._rows[issue.number][1]
            if self._list.default_slot.children[place] is not row:
                row.move(target_index=place)

    def _draw(self, issue: IssueOut, word: str, is_archived: bool) -> ui.element:
        with ui.element("div").classes("item") as row:
            ui.html(issue_html(issue, self._id), sanitize=clean).classes("grow")
            if word:
                ui.html(text(word), sanitize=clean, tag="span").classes("btn small off")
            elif not is_archived:
                self._draw_acts(issue)
        return testid(row, "issue-row", issue=str(issue.number))

    def _draw_acts(self, issue: IssueOut) -> None:
        if issue.state == "open":
            words = "Mark not ready" if issue.ready else "Mark ready"
            button(words, partial(self._label, issue), kind="small", mark="toggle-ready")
            button("Run", partial(self._run, issue), kind="small", mark="run-issue")
        verb = "Close" if issue.state == "open" else "Open again"
        button(verb, partial(self._turn, issue), kind="small bare", mark="turn-issue")

    async def _run(self, issue: IssueOut) -> None:
        project = self._session.board.get(self._id)
        if project is not None:
            await open_run_dialog(self._session, project, {"issue": str(issue.number)})

    async def _label(self, issue: IssueOut) -> None:
        await self._change(issue, toggled_ready(issue))

    async def _turn(self, issue: IssueOut) -> None:
        if await self._change(issue, turned(issue)):
            verb = "closed" if issue.state == "open" else "open again"
            self._session.notify(f"Issue #{issue.number} is {verb}.")

    async def _change(self, issue: IssueOut, change: dict[str, Any]) -> bool:
        async def send(change: dict[str, Any]) -> IssueOut:
            return await self._session.api.change_issue(self._id, issue.number, **change)

        try:
            changed = await self._issues.change(issue, change, send, self._show)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            changed = None
        await self.load()
        return changed is not None

    def _open_form(self) -> None:
        self._form.open()

    async def _show_more(self) -> None:
        self._limit += ROWS
        self._show()

    async def _follow(self, project: ProjectOut) -> None:
        if project.id == self._id:
            self._is_archived = project.archived_at is not None
            await self.load()
