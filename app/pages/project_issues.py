"""The issues tab of a project: the built-in tracker's issues, to read, to write and to label."""

from __future__ import annotations

from functools import partial
from typing import Any

from nicegui import ui

from app.domain.words import READY_LABEL
from app.pages.components.buttons import button
from app.pages.components.fields import area_field, text_field
from app.pages.components.marks import testid
from app.pages.components.markup import clean, text
from app.pages.components.tabs import Tabs
from app.pages.new_run import open_run_dialog
from app.pages.visit import Visit
from app.state.wire import ApiProblem, IssueOut, NewIssue, NoAnswer, ProjectOut

ROWS = 50


class IssuesTab:
    """Open issues first; each says why it waits."""

    def __init__(self, visit: Visit, project: ProjectOut, tabs: Tabs) -> None:
        self._visit = visit
        self._id = project.id
        self._tabs = tabs
        self._limit = ROWS
        self._rows: dict[int, tuple[IssueOut, ui.element]] = {}
        self.load = visit.looker(lambda: visit.api.issues(project.id), self._show)
        with ui.element("div").classes("line above"):
            self._plan = ui.html("", sanitize=clean, tag="span")
            ui.element("span").classes("sp")
            button("New issue", self._open_form, mark="new-issue")
        self._form = IssueForm(visit, project.id, self.load)
        self._none = ui.html(
            "No issues yet. Write one, label it ready-for-agent, and a run can take it.",
            sanitize=clean,
        ).classes("card none")
        self._list = ui.element("div").classes("list")
        self._more = button("Show more", self._show_more)
        visit.on("project.changed", self._follow)
        visit.on_return(self.load)

    def _show(self, issues: list[IssueOut]) -> None:
        opened = [issue for issue in issues if issue.state == "open"]
        self._tabs.count("Issues", len(opened))
        claimable = sum(issue.claimable for issue in opened)
        self._plan.set_content(f'<span class="chip">{claimable} ready of {len(opened)} open</span>')
        self._none.set_visibility(not issues)
        self._list.set_visibility(bool(issues))
        self._more.set_visibility(len(issues) > self._limit)
        listing = sorted(issues, key=lambda issue: (issue.state != "open", issue.number))
        self._draw_rows(listing[: self._limit])

    def _draw_rows(self, listing: list[IssueOut]) -> None:
        for place, issue in enumerate(listing):
            drawn = self._rows.get(issue.number)
            if drawn is None or drawn[0] != issue:
                if drawn is not None:
                    drawn[1].delete()
                with self._list:
                    self._rows[issue.number] = (issue, self._draw(issue))
            row = self._rows[issue.number][1]
            if self._list.default_slot.children[place] is not row:
                row.move(target_index=place)

    def _draw(self, issue: IssueOut) -> ui.element:
        with ui.element("div").classes("item") as row:
            ui.html(issue_html(issue), sanitize=clean).classes("grow")
            if issue.state == "open":
                words = "Mark not ready" if issue.ready else "Mark ready"
                button(words, partial(self._label, issue), kind="small", mark="toggle-ready")
                button("Run", partial(self._run, issue), kind="small", mark="run-issue")
            verb = "Close" if issue.state == "open" else "Open again"
            button(verb, partial(self._turn, issue), kind="small bare", mark="turn-issue")
        return testid(row, "issue-row", issue=str(issue.number))

    async def _run(self, issue: IssueOut) -> None:
        project = self._visit.board.get(self._id)
        if project is not None:
            await open_run_dialog(self._visit, project, {"issue": str(issue.number)})

    async def _label(self, issue: IssueOut) -> None:
        labels = [label for label in issue.labels if label != READY_LABEL]
        await self._change(issue, {"labels": labels if issue.ready else [*labels, READY_LABEL]})

    async def _turn(self, issue: IssueOut) -> None:
        await self._change(issue, {"state": "closed" if issue.state == "open" else "open"})

    async def _change(self, issue: IssueOut, change: dict[str, Any]) -> None:
        path = f"/projects/{self._id}/issues/{issue.number}"
        try:
            await self._visit.api.tell(IssueOut, "PATCH", path, change)
        except (ApiProblem, NoAnswer) as problem:
            self._visit.refuse(problem)
        await self.load()

    def _open_form(self) -> None:
        self._form.open()

    async def _show_more(self) -> None:
        self._limit += ROWS
        await self.load()

    async def _follow(self, project: ProjectOut) -> None:
        if project.id == self._id:
            await self.load()


class IssueForm:
    """A dialog to write an issue."""

    def __init__(self, visit: Visit, project_id: str, done: Any) -> None:
        self._visit, self._id, self._done = visit, project_id, done
        with ui.dialog() as self._dialog, ui.element("div").classes("sheet"):
            ui.html("New issue", sanitize=clean, tag="h2").classes("above")
            self._title = text_field("Title", mark="issue-title")
            self._body = area_field(
                "What to do",
                hint="A heading `Blocked by` with `#12` below it makes it wait for issue 12.",
                mark="issue-body",
            )
            self._ready = testid(ui.checkbox("Ready for an agent", value=True), "issue-ready")
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Cancel", self._dialog.close)
                self._add = button("Add issue", self._submit, kind="pri", mark="issue-submit")

    def open(self) -> None:
        """Show it, with what was typed before and not sent."""
        self._dialog.open()

    async def _submit(self) -> None:
        title = (self._title.control.value or "").strip()
        if not title:
            self._title.refuse("An issue needs a title.")
            return
        if not self._add.enabled:
            return
        labels = [READY_LABEL] if self._ready.value else []
        issue = NewIssue(title=title[:300], body=self._body.control.value or "", labels=labels)
        self._add.disable()
        try:
            await self._visit.api.tell(IssueOut, "POST", f"/projects/{self._id}/issues", issue)
        except (ApiProblem, NoAnswer) as problem:
            self._visit.refuse(problem)
        else:
            self._title.control.set_value("")
            self._body.control.set_value("")
            self._dialog.close()
            await self._done()
        self._add.enable()


def issue_html(issue: IssueOut) -> str:
    """An issue: number and title, labels and why it waits; the text unfolds."""
    labels = "".join(f'<span class="chip">{text(label)}</span>' for label in issue.labels)
    waits = "closed" if issue.state == "closed" else issue.hold or ""
    head = f'<span class="m sub">{issue.number}</span> <b>{text(issue.title)}</b>'
    if issue.body:
        body = f'<pre class="body">{text(issue.body)}</pre>'
        head = f"<details><summary>{head}</summary>{body}</details>"
    under = f'<div class="line">{labels}<span class="sub">{text(waits)}</span></div>'
    return f"<div>{head}</div>{under if labels or waits else ''}"
