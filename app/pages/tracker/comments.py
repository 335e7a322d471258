"""The comments of an issue, oldest first, and a field for a new one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import background_tasks, ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import CommentOut
from app.pages.components.buttons import button
from app.pages.components.chips import pill_html
from app.pages.components.countdown import ago_html
from app.pages.components.fields import area_field
from app.pages.components.markup import clean, format_markdown, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession

ROWS = 50


class IssueComments:
    """The latest comments, earlier ones on demand; updates never touch a half-typed one."""

    def __init__(
        self,
        session: PageSession,
        project_id: str,
        number: int,
        done: Callable[[], Awaitable[None]],
    ) -> None:
        self._session, self._id, self._number, self._done = session, project_id, number, done
        self._said: list[CommentOut] = []
        self._drawn: dict[int, ui.element] = {}
        self._limit = ROWS
        with testid(ui.element("section").classes("card"), "comments"):
            self._heading = ui.html("Comments", sanitize=clean, tag="h2")
            self._earlier = button("Show earlier", self._show_earlier, kind="small")
            self._list = ui.element("div").classes("stack")
            self._form = session.offer("add_comment", project_id, self._draw_form)
        self._earlier.set_visibility(False)

    def _draw_form(self) -> ui.element:
        with ui.element("div") as form:
            self._new = area_field(
                "Add a comment", hint="The next run on this issue reads it.", mark="comment-box"
            )
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                self._send = button("Comment", self._submit, kind="pri", mark="comment-submit")
        return form

    def show(self, said: list[CommentOut], *, may_write: bool) -> None:
        """Show the present comments."""
        self._said = said
        self._form.set_visibility(may_write)
        self._heading.set_content(f"Comments {len(said)}" if said else "No comments yet")
        self._draw()

    def _draw(self) -> None:
        shown = self._said[-self._limit :]
        self._earlier.set_visibility(len(self._said) > len(shown))
        for place, comment in enumerate(shown):
            if comment.id not in self._drawn:
                with self._list:
                    row = self._draw_one(comment)
                row.move(target_index=place)
                self._drawn[comment.id] = row

    def _draw_one(self, comment: CommentOut) -> ui.element:
        with ui.element("div").classes("said") as row:
            when = ago_html(comment.created_at, self._session.now())
            by = f"<b>{plain_html(comment.author)}</b>"
            if comment.run_id is not None:
                run = f"/runs/{text(comment.run_id)}"
                by = f'<a href="{run}">{by}</a> {pill_html("agent", "idle")}'
            head = f'{by} <span class="sub">{when}</span>'
            ui.html(head, sanitize=clean).classes("line")
            words = ui.html("", sanitize=clean)
        background_tasks.create(self._format(words, comment.body), name="format a comment")
        return testid(row, "issue-comment", comment=str(comment.id))

    async def _format(self, words: ui.html, body: str) -> None:
        html = await format_markdown(body)
        if not self._session.client.is_deleted:
            words.set_content(html)

    def _show_earlier(self) -> None:
        self._limit += ROWS
        self._draw()

    async def _submit(self) -> None:
        body = self._new.control.value or ""
        if not body.strip():
            self._new.refuse("A comment needs some words.")
            return
        if not self._send.enabled:
            return
        self._send.disable()
        try:
            await self._session.api.comment(self._id, self._number, body)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        else:
            self._new.control.set_value("")
            await self._done()
        self._send.enable()
