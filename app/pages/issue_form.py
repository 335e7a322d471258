"""The dialog in which an issue is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from app.domain.words import READY_LABEL
from app.pages.components.buttons import button
from app.pages.components.fields import area_field, text_field
from app.pages.components.issue_words import issue_path
from app.pages.components.marks import testid
from app.pages.components.markup import clean
from app.pages.visit import Visit
from app.state.issue_editor import MAX_TITLE
from app.state.wire import ApiProblem, NewIssue, NoAnswer

BLOCKED_HINT = "A heading “Blocked by” with #12 below it makes it wait for issue 12."


class IssueForm:
    """Kept while the page is open: what was typed and not sent is there again."""

    def __init__(self, visit: Visit, project_id: str, done: Callable[[], Awaitable[None]]) -> None:
        self._visit, self._id, self._done = visit, project_id, done
        with (
            ui.dialog().props('aria-label="New issue"') as self._dialog,
            ui.element("div").classes("sheet"),
        ):
            ui.html("New issue", sanitize=clean, tag="h2").classes("above")
            self._title = text_field("Title", mark="issue-title")
            self._title.control.props("autofocus")
            self._title.control.props(f"maxlength={MAX_TITLE}")
            self._body = area_field("What to do", hint=BLOCKED_HINT, mark="issue-body")
            self._ready = testid(ui.checkbox("Ready for an agent", value=True), "issue-ready")
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Cancel", self._dialog.close)
                self._add = button("Add issue", self._submit, kind="pri", mark="issue-submit")

    def open(self) -> None:
        """Show it."""
        self._dialog.open()

    async def _submit(self) -> None:
        title = (self._title.control.value or "").strip()
        if not title:
            self._title.refuse("An issue needs a title.")
            return
        if not self._add.enabled:
            return
        labels = [READY_LABEL] if self._ready.value else []
        self._add.disable()
        try:
            new = NewIssue.model_construct(
                title=title, body=self._body.control.value or "", labels=labels
            )
            issue = await self._visit.api.add_issue(self._id, new)
        except (ApiProblem, NoAnswer) as problem:
            self._visit.refuse(problem)
        else:
            self._title.control.set_value("")
            self._body.control.set_value("")
            self._dialog.close()
            go = ("Open it", issue_path(self._id, issue.number))
            self._visit.say(f"Issue #{issue.number} is written.", go=go)
            await self._done()
        self._add.enable()
