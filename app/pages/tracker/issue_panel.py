"""An issue's page: text, labels, actions, changes and comments."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import BoardIssueOut, BoardOut, ChangeOut, CommentOut, IssueOut, ProjectOut
from app.pages.components.buttons import button
from app.pages.components.countdown import ago_html
from app.pages.components.fields import Field
from app.pages.components.markup import clean, plain, text
from app.pages.components.testids import testid
from app.pages.runs.new_run import open_run_dialog
from app.pages.shell.frame import Page
from app.pages.shell.page_session import PageSession, runs_path
from app.pages.tracker.comments import IssueComments
from app.pages.tracker.issue_side import BlockedBy, IssuePrompt
from app.pages.tracker.issue_text import CLOSED, IssueText, priority_field
from app.pages.tracker.words import change_html, hold_html, labels_html, state_html
from app.state.tracker.issue_changes import labelled, toggled_ready, turned

MAX_LABEL = 100


Look = tuple[IssueOut, list[CommentOut], list[ChangeOut], BoardOut]


class IssueLabels:
    """Labels as chips, and a field to add one; labels set by others at the same time stay."""

    def __init__(
        self,
        session: PageSession,
        project_id: str,
        change: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        self._change = change
        self._issue: IssueOut | None = None
        self._drawn: tuple[list[str], bool] | None = None
        self._adding = ""
        with testid(ui.element("div").classes("line labels"), "issue-labels"):
            self._chips = ui.element("div").classes("line")
            offer = partial(session.offer, "change_issue", project_id)
            self._new: ui.input = offer(self._draw_field)
            self._plus: ui.button = offer(
                lambda: button("Add", self._add, kind="small", mark="add-label")
            )

    def _draw_field(self) -> ui.input:
        field = testid(ui.input(placeholder="Add a label"), "new-label")
        field.props(f"outlined dense hide-bottom-space maxlength={MAX_LABEL}")
        field.props["aria-label"] = "Add a label"
        field.classes("in").on("keydown.enter", self._add)
        return field

    def show(self, issue: IssueOut, *, may_write: bool) -> None:
        """Show the present labels."""
        self._issue = issue
        if self._new and self._adding in issue.labels and self._adding == self._typed:
            self._new.set_value("")
        for shown in (self._new, self._plus):
            shown.set_visibility(may_write)
        if self._drawn == (issue.labels, may_write):
            return
        self._drawn = (issue.labels, may_write)
        self._chips.clear()
        self._chips.set_visibility(bool(issue.labels))
        with self._chips:
            if not may_write:
                ui.html(labels_html(issue.labels), sanitize=clean).classes("line")
                return
            for label in issue.labels:
                chip = button(f"{plain(label)} ×", partial(self._remove, label), kind="chip")
                chip.props["aria-label"] = f"Remove label {plain(label)}"
                chip.props["title"] = "Remove this label"
                testid(chip, "label", label=label)

    async def _remove(self, label: str) -> None:
        if self._issue is not None:
            others = [one for one in self._issue.labels if one != label]
            await self._change(labelled(self._issue, others))

    @property
    def _typed(self) -> str:
        return (self._new.value or "").strip()

    async def _add(self) -> None:
        self._adding = label = self._typed
        if self._issue is None or not label:
            return
        if label in self._issue.labels:
            self._new.set_value("")
        else:
            await self._change(labelled(self._issue, [*self._issue.labels, label]))
        self._adding = ""


class IssuePanel:
    """Follows the issue live; updates never touch what is half typed.

    `html` is the issue's text, formatted.
    """

    def __init__(
        self, session: PageSession, page: Page, project: ProjectOut, issue: IssueOut, html: str
    ) -> None:
        self._session, self._page = session, page
        self._id, self._issue = project.id, issue
        self._is_archived = project.archived_at is not None
        self._key = str(uuid.uuid4())
        self._others: list[BoardIssueOut] = []
        self.load = session.looker(self._ask, self._take)
        with page.beside:
            self._state = ui.html("", sanitize=clean, tag="span")
        self._draw_acts(page)
        with ui.element("div").classes("issue-page"):
            main = ui.element("div").classes("issue")
            with testid(main, "issue", issue=str(issue.number)):
                self._under = ui.html("", sanitize=clean).classes("line")
                self._text = IssueText(session, project.id, issue, html, self.load)
                self._comments = IssueComments(session, project.id, issue.number, self.load)
                self._prompt: IssuePrompt | None = None
                if session.may("preview", project.id):
                    self._prompt = IssuePrompt(session, project, issue.number)
            with ui.element("aside").classes("issue-side stack"):
                self._draw_side(issue)
        self._changes.set_visibility(False)
        self._show()
        session.on("project.changed", self._follow)
        session.on_return(self.load)

    def _draw_side(self, issue: IssueOut) -> None:
        offer = partial(self._session.offer, "change_issue", self._id)
        with self._text.foot:
            self._ready: ui.button = offer(self._ready_button)
            self._turn: ui.button = offer(
                lambda: button("Close", self._turn_over, kind="small bare", mark="turn-issue")
            )
        self._priority: Field = offer(lambda: priority_field(issue.priority))
        self._priority.control.on_value_change(self._prioritize)
        self._ranked = ui.html("", sanitize=clean)
        ui.html("Labels", sanitize=clean, tag="h2")
        self._labels = IssueLabels(self._session, self._id, self._change)
        self._blockers = BlockedBy(self._session, self._id, self._change)
        self._changes = testid(ui.html("", sanitize=clean).classes("list"), "issue-changes")

    def _ready_button(self) -> ui.button:
        return button("Mark ready", self._toggle_ready, kind="small", mark="toggle-ready")

    def _draw_acts(self, page: Page) -> None:
        offer = partial(self._session.offer, "start", self._id)
        with page.actions:
            self._afk: ui.button = offer(
                lambda: button("Start AFK run", self._start, kind="pri", mark="start-issue")
            )
            self._run: ui.button = offer(
                lambda: button("Run with…", self._open_form, mark="run-issue")
            )

    async def _ask(self) -> Look:
        api, number = self._session.api, self._issue.number
        return await asyncio.gather(
            api.issue(self._id, number),
            api.comments(self._id, number),
            api.changes(self._id),
            api.board([self._id], closed=CLOSED),
        )

    def _take(self, look: Look) -> None:
        self._issue, comments, changes, board = look
        self._others = board.items
        self._show()
        self._comments.show(comments, may_write=self._may("add_comment"))
        self._show_changes([one for one in changes if one.closes == self._issue.number])

    def _show(self) -> None:
        issue, is_open = self._issue, self._issue.state == "open"
        with self._session.client:  # the pressed element may have been deleted by now
            self._page.set_title(f"#{issue.number} {plain(issue.title)}")
        standing = next((one for one in self._others if one.number == issue.number), None)
        self._state.set_content(state_html(issue, standing.state if standing else None))
        said = [hold_html(issue)]
        if issue.created_at is not None:
            ago = ago_html(issue.created_at, self._session.now())
            said.append(f'<span class="sub">written {ago}</span>')
        runs = text(runs_path(self._id, issue=str(issue.number)))
        said.append(f'<a href="{runs}" data-testid="issue-runs">Runs of this issue</a>')
        self._under.set_content(' <span class="sub">·</span> '.join(part for part in said if part))
        # grayed if it cannot start, but a press still explains why
        self._afk.classes(
            add="pri" if issue.claimable else "weak", remove="weak" if issue.claimable else "pri"
        )
        may_write = self._may("change_issue")
        for shown, is_shown in (
            (self._afk, self._may("start") and is_open),
            (self._run, self._may("start") and is_open),
            (self._ready, may_write and is_open),
            (self._turn, may_write),
            (self._priority.box, may_write),
            (self._ranked, not may_write),
        ):
            shown.set_visibility(is_shown)
        self._ready.set_text("Mark not ready" if issue.ready else "Mark ready")
        self._turn.set_text("Close" if is_open else "Open again")
        self._priority.control.set_value(issue.priority)
        self._ranked.set_content(f"<h2>Priority</h2>{issue.priority.capitalize()}")
        self._labels.show(issue, may_write=may_write)
        self._text.show(issue, may_write=may_write)
        self._blockers.show(issue, self._others, may_write=may_write)

    def _may(self, deed: str) -> bool:
        return not self._is_archived and self._session.may(deed, self._id)

    def _show_changes(self, changes: list[ChangeOut]) -> None:
        self._changes.set_visibility(bool(changes))
        self._changes.set_content(
            "".join(
                f'<div class="item"><div class="grow">'
                f"{change_html(one, f'/projects/{self._id}/changes/{one.number}')}</div></div>"
                for one in changes
            )
        )

    # --- actions --------------------------------------------------------------------------------

    async def _start(self) -> None:
        if not self._afk.enabled:
            return
        self._afk.disable()
        self._afk.set_text("Starting…")
        try:
            run = await self._session.api.start_afk(
                self._id, issue=self._issue.number, key=self._key
            )
        except NoAnswer as silence:
            self._session.refuse(silence)  # keep the key: pressing again cannot start a second run
        except ApiProblem as problem:
            self._session.refuse(problem)
            self._key = str(uuid.uuid4())
        else:
            self._key = str(uuid.uuid4())
            self._session.notify("AFK run started.", go=("Open the run", f"/runs/{run.id}"))
        self._afk.set_text("Start AFK run")
        self._afk.enable()
        await self.load()

    async def _open_form(self) -> None:
        project = self._session.board.get(self._id)
        if project is not None:
            await open_run_dialog(self._session, project, {"issue": str(self._issue.number)})

    async def _toggle_ready(self) -> None:
        await self._change(toggled_ready(self._issue), self._ready)

    async def _prioritize(self) -> None:
        # also called when somebody else's choice is shown
        chosen = self._priority.control.value
        if chosen != self._issue.priority:
            await self._change({"priority": chosen})

    async def _turn_over(self) -> None:
        await self._change(turned(self._issue), self._turn)

    async def _change(self, change: dict[str, Any], pressed: ui.button | None = None) -> None:
        if pressed is not None:
            pressed.disable()
            pressed.set_text("Saving…")
        try:
            self._issue = await self._session.api.change_issue(
                self._id, self._issue.number, **change
            )
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        if pressed is not None:
            pressed.enable()
        self._show()
        await self.load()

    async def _follow(self, project: ProjectOut) -> None:
        if project.id == self._id:
            self._is_archived = project.archived_at is not None
            looks = [self.load()]
            if self._prompt is not None:
                looks.append(self._prompt.look())
            await asyncio.gather(*looks)
