"""The page of an issue that a forge keeps: as it was last read there, and the ways to run it."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, cast

from nicegui import background_tasks, ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import BoardOut, ChangeOut, IssueOut, ProjectOut
from app.domain.tracker.issue_trust import waits_for_approval
from app.pages.components.buttons import button
from app.pages.components.countdown import ago_html, at_html
from app.pages.components.markup import clean, format_markdown, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.projects.trust import open_text
from app.pages.runs.new_run import open_run_dialog
from app.pages.shell.frame import Page
from app.pages.shell.page_session import PageSession, runs_path
from app.pages.tracker.issue_rows import priority_html, there_html
from app.pages.tracker.issue_side import IssuePrompt
from app.pages.tracker.issue_text import CLOSED, NOTHING
from app.pages.tracker.words import change_html, hold_html, issue_path, labels_html, state_html
from app.state.page.connection import LatestRequest

Look = tuple[IssueOut, list[ChangeOut], BoardOut]


class ForgeIssuePanel:
    """An issue of a forge; it is edited there, and followed here."""

    def __init__(
        self, session: PageSession, page: Page, project: ProjectOut, issue: IssueOut, html: str
    ) -> None:
        self._session, self._page = session, page
        self._id, self._issue, self._shown = project.id, issue, issue.body
        self._is_archived = project.archived_at is not None
        self._key = str(uuid.uuid4())
        self.load = session.looker(self._ask, self._take)
        self._format = LatestRequest(lambda: format_markdown(self._issue.body), self._show_text)
        with page.beside:
            self._state = ui.html("", sanitize=clean, tag="span")
        with page.actions:
            self._look = button("Text and comments", self.open_text, mark="look-at-text")
            self._afk = session.offer("start", project.id, self._afk_button)
            self._run = session.offer("start", project.id, self._run_button)
        with ui.element("div").classes("issue-page"):
            main = ui.element("div").classes("issue")
            with testid(main, "issue", issue=str(issue.number)):
                self._under = ui.html("", sanitize=clean).classes("line")
                with testid(ui.element("section").classes("card"), "issue-body"):
                    self._text = ui.html("", sanitize=clean)
                if session.may("preview", project.id):
                    IssuePrompt(session, project, issue.number)
            with ui.element("aside").classes("issue-side stack"):
                self._side = testid(ui.html("", sanitize=clean).classes("stack"), "issue-facts")
                self._changes = testid(ui.html("", sanitize=clean).classes("list"), "issue-changes")
        self._changes.set_visibility(False)
        self._show_text(html)
        self._show(None)
        session.on("project.changed", self._follow)
        session.on_return(self.load)

    def _afk_button(self) -> ui.button:
        return button("Start AFK run", self._start, kind="pri", mark="start-issue")

    def _run_button(self) -> ui.button:
        return button("Run with…", self._open_form, mark="run-issue")

    async def _ask(self) -> Look:
        api, number = self._session.api, self._issue.number
        return await asyncio.gather(
            api.seen_issue(self._id, number),
            api.changes(self._id),
            api.board([self._id], closed=CLOSED),
        )

    def _take(self, look: Look) -> None:
        self._issue, changes, board = look
        self._show(board)
        mine = [one for one in changes if one.closes == self._issue.number]
        self._changes.set_visibility(bool(mine))
        self._changes.set_content(
            "".join(
                f'<div class="item"><div class="grow">'
                f"{change_html(one, f'/projects/{self._id}/changes/{one.number}')}</div></div>"
                for one in mine
            )
        )
        if self._issue.body != self._shown:
            self._shown = self._issue.body
            cast("Any", background_tasks).create(self._format.request(), name="format an issue")

    def _show_text(self, html: str) -> None:
        if not self._session.client.is_deleted:
            self._text.set_content(html if self._issue.body.strip() else NOTHING)

    def _show(self, board: BoardOut | None) -> None:
        issue, items = self._issue, board.items if board else []
        standing = next((one for one in items if one.number == issue.number), None)
        with self._session.client:  # the pressed element may have been deleted by now
            self._page.set_title(f"#{issue.number} {plain(issue.title)}")
        self._state.set_content(state_html(issue, standing.state if standing else None))
        said = [hold_html(issue)]
        if issue.as_of is not None:
            said.append(
                '<span class="sub wait">Its forge does not answer: as of '
                f"{at_html(issue.as_of)}</span>"
            )
        if issue.created_at is not None:
            ago = ago_html(issue.created_at, self._session.now())
            said.append(f'<span class="sub">written {ago}</span>')
        runs = text(runs_path(self._id, issue=str(issue.number)))
        said.append(f'<a href="{runs}" data-testid="issue-runs">Runs of this issue</a>')
        self._under.set_content(' <span class="sub">·</span> '.join(part for part in said if part))
        self._side.set_content(self._side_html({one.number: one.title for one in items}))
        may_approve = self._session.may("approve_text", self._id)
        is_waiting = may_approve and waits_for_approval(issue.hold)
        self._look.set_text("Look and approve" if is_waiting else "Text and comments")
        self._look.classes(add="pri" if is_waiting else None, remove=None if is_waiting else "pri")
        # grayed if it cannot start, but a press still explains why
        strong, weak = ("pri", "weak") if issue.claimable else ("weak", "pri")
        self._afk.classes(add=strong, remove=weak)
        for shown in (self._look, self._afk, self._run):
            shown.set_visibility(not self._is_archived and issue.state == "open")

    def _side_html(self, titles: dict[int, str]) -> str:
        issue = self._issue
        blockers = "".join(
            f'<p><a href="{text(issue_path(self._id, one))}">#{one}</a>'
            f" {plain_html(titles.get(one, ''))}</p>"
            for one in issue.blocked_by
        )
        people = ", ".join(plain_html(one) for one in issue.assignees)
        facts = (
            ("Priority", f"{priority_html(issue.priority)} {issue.priority.capitalize()}"),
            ("Labels", labels_html(issue.labels)),
            ("Assigned to", people),
            ("Milestone", plain_html(issue.milestone)),
            ("Blocked by", blockers),
        )
        where = there_html(issue.url, issue.number, words="Open at its forge ↗")
        kept = "<p class='sub'>It is kept at its forge: edit it there.</p>"
        return f"{where}{kept}" + "".join(
            f"<h2>{name}</h2><div class='line'>{html}</div>" for name, html in facts if html
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

    async def open_text(self) -> None:
        await open_text(self._session, self._id, self._issue.number, self.load)

    async def _open_form(self) -> None:
        project = self._session.board.get(self._id)
        if project is not None:
            await open_run_dialog(self._session, project, {"issue": str(self._issue.number)})

    async def _follow(self, project: ProjectOut) -> None:
        if project.id == self._id:
            self._is_archived = project.archived_at is not None
            await self.load()
