"""Parts of an issue's page: the field of its blockers, and the prompt of its next run."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import BoardIssueOut, IssueOut, ProjectOut
from app.domain.words import Depth
from app.pages.components.icons import icon
from app.pages.components.markup import clean, counted, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.pages.tracker.blocker_field import BlockerField
from app.pages.tracker.words import ignored_html


class BlockedBy:
    """The issues that this one waits for; its text keeps them, so that every tracker shows them."""

    def __init__(
        self,
        session: PageSession,
        project_id: str,
        change: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        self._id, self._change = project_id, change
        self._issue: IssueOut | None = None
        with testid(ui.element("section").classes("stack"), "blocked-by"):
            ui.html("Blocked by", sanitize=clean, tag="h2")
            may_write = session.may("change_issue", project_id)
            self._field = BlockerField(session, self._add, self._remove, may_write=may_write)
            self._notes = ui.html("", sanitize=clean)

    def show(self, issue: IssueOut, others: Sequence[BoardIssueOut], *, may_write: bool) -> None:
        """Show the present blockers."""
        self._issue = issue
        self._notes.set_content(ignored_html(issue))
        self._field.show(
            self._id,
            issue.blocked_by,
            {one.number: one for one in others},
            itself=issue.number,
            may_write=may_write and issue.state == "open",
        )

    async def _add(self, number: int) -> None:
        if (issue := self._issue) is not None:
            await self._save(issue, [*issue.blocked_by, number])

    async def _remove(self, number: int) -> None:
        if (issue := self._issue) is not None:
            await self._save(issue, [one for one in issue.blocked_by if one != number])

    async def _save(self, issue: IssueOut, numbers: list[int]) -> None:
        await self._change({"blocked_by": numbers, "was": {"body": issue.body}})


class IssuePrompt:
    """The prompt of the next run; folded, it tells how many words it has."""

    def __init__(self, session: PageSession, project: ProjectOut, number: int) -> None:
        self._session, self._project, self._number = session, project, number
        self._is_open = False
        with testid(ui.element("details").classes("blk"), "issue-prompt") as box:
            with ui.element("summary").classes("bh"):
                ui.html(f"{icon('bot', kind='s')}What the agent will be told", sanitize=clean)
                self._size = ui.html("", sanitize=clean, tag="span").classes("mut num")
            self._text = ui.html("", sanitize=clean)
        box.on("toggle", self._toggle, js_handler="(e) => emit(e.target.open)")
        session.on_arrival(self._read)

    async def _toggle(self, event: Any) -> None:
        self._is_open = event.args is True
        await self.look()

    async def look(self) -> None:
        """Read the prompt again if it is shown."""
        if self._is_open:
            await self._read()

    async def _read(self) -> None:
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
            size, html = "", f'<p class="sub">{plain_html(words)}</p>'
        else:
            size = counted(len(told.text.split()), "word")
            lines = "\n".join(plain_html(line) for line in told.text.split("\n"))
            html = f'<pre class="body" tabindex="0">{lines}</pre>'
        if not self._session.client.is_deleted:
            self._size.set_content(text(size))
            # what nobody reads is not sent
            self._text.set_content(html if self._is_open else "")
