"""An issue's text, to read and to edit; concurrent edits are detected and nothing is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import background_tasks, ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import BoardIssueOut, IssueOut, NewIssue, ProjectOut
from app.domain.words import BUILTIN, READY_LABEL, Priority
from app.pages.components.buttons import button
from app.pages.components.fields import Field, area_field, choice_field, text_field
from app.pages.components.markup import clean, format_markdown, plain, plain_html
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.pages.tracker.blocker_field import BlockerField
from app.pages.tracker.words import issue_path
from app.state.page.connection import LatestRequest
from app.state.page.refused_input import blamed_by
from app.state.tracker.issue_editor import MAX_TITLE, IssueEditor

# closed issues among which blockers are found
CLOSED = 500
BLOCKED_HINT = "A heading “Blocked by” with #12 below it makes it wait for issue 12."


NOTHING = '<p class="sub">Nothing more is said.</p>'


def priority_field(chosen: Priority) -> Field:
    """Create the select of an issue's priority."""
    names = {str(one): one.capitalize() for one in Priority}
    field = choice_field("Priority", names, str(chosen), mark="issue-priority")
    field.box.classes("priority")
    return field


def may_write_in(session: PageSession, project: ProjectOut) -> bool:
    """Return True for a project in which this person may write issues here."""
    is_kept_here = project.tracker == BUILTIN and project.archived_at is None
    return is_kept_here and session.may("add_issue", project.id)


class IssueForm:
    """The dialog for a new issue; it keeps unsent text while the page is open.

    Without a project it asks for one, of those with the built-in tracker.
    """

    def __init__(
        self, session: PageSession, project_id: str | None, done: Callable[[], Awaitable[None]]
    ) -> None:
        self._session, self._id, self._done = session, project_id, done
        self._project: Field | None = None
        self._blockers: list[int] = []
        self._others: dict[int, BoardIssueOut] = {}
        self._look = session.looker(self._read_others, self._take_others)
        with (
            ui.dialog().props('aria-label="New issue"') as self._dialog,
            ui.element("div").classes("sheet"),
        ):
            ui.html("New issue", sanitize=clean, tag="h2").classes("above")
            if project_id is None:
                self._project = choice_field("Project", {}, None, mark="issue-project")
                self._project.control.on_value_change(self._change_project)
            self._draw_fields()
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Cancel", self._dialog.close)
                self._add = button("Add issue", self._submit, kind="pri", mark="issue-submit")

    def _draw_fields(self) -> None:
        self._title = text_field("Title", mark="issue-title")
        self._title.control.props("autofocus")
        self._title.control.props(f"maxlength={MAX_TITLE}")
        self._body = area_field("What to do", mark="issue-body")
        self._priority = priority_field(Priority.NORMAL).control
        with testid(ui.element("div").classes("f"), "blocked-by"):
            ui.html("Blocked by", sanitize=clean).classes("label")
            self._blocked = BlockerField(self._session, self._block, self._unblock, may_write=True)
        self._ready = testid(ui.checkbox("Ready for an agent", value=True), "issue-ready")

    @property
    def _chosen(self) -> str:
        """The id of the project that the issue is for, "" before one is chosen."""
        return self._id or str((self._project and self._project.control.value) or "")

    def open(self, project_id: str = "") -> None:
        """Open the dialog, with this project chosen where it asks for one."""
        if self._project is not None:
            choices = {
                one.id: plain(one.name)
                for one in self._session.board.listing()
                if may_write_in(self._session, one)
            }
            chosen = project_id or self._project.control.value or next(iter(choices), None)
            self._project.control.set_options(choices, value=chosen if chosen in choices else None)
        for field in (self._title, self._body):
            field.show(field.control.value)
        self._dialog.open()
        self._session.start(self._look())

    # --- blockers ------------------------------------------------------------------------------

    def _change_project(self) -> None:
        # the numbers are those of the other project's issues
        self._others = {}
        self._blocked.clear_search()
        self._set_blockers([])
        self._session.start(self._look())

    async def _read_others(self) -> tuple[str, list[BoardIssueOut]]:
        chosen = self._chosen
        board = await self._session.api.board([chosen], closed=CLOSED) if chosen else None
        return chosen, board.items if board else []

    def _take_others(self, found: tuple[str, list[BoardIssueOut]]) -> None:
        project_id, issues = found
        if project_id == self._chosen:
            self._others = {one.number: one for one in issues}
            self._show_blockers()

    def _block(self, number: int) -> None:
        self._set_blockers([*self._blockers, number])

    def _unblock(self, number: int) -> None:
        self._set_blockers([one for one in self._blockers if one != number])

    def _set_blockers(self, numbers: list[int]) -> None:
        self._blockers = numbers
        self._blocked.refuse("")
        self._show_blockers()

    def _show_blockers(self) -> None:
        self._blocked.show(self._chosen, self._blockers, self._others)

    # --- sending -------------------------------------------------------------------------------

    def _is_whole(self) -> bool:
        """Return True if the form can be sent; otherwise a field says why not."""
        if not (self._title.control.value or "").strip():
            self._title.refuse("An issue needs a title.")
        elif self._project and not self._chosen:
            self._project.refuse("Choose the project that it belongs to.")
        elif self._blocked.typed:
            self._blocked.refuse("Choose an issue from the list, or clear this field.")
        else:
            return True
        return False

    async def _submit(self) -> None:
        if not self._is_whole() or not self._add.enabled:
            return
        project_id = self._chosen
        self._add.disable()
        try:
            issue = await self._session.api.add_issue(project_id, self._typed())
        except (ApiProblem, NoAnswer) as problem:
            blamed = blamed_by(problem) if isinstance(problem, ApiProblem) else {}
            if said := blamed.get("blocked_by"):
                self._blocked.refuse(said)
            else:
                self._session.refuse(problem)
        else:
            self._clear()
            self._dialog.close()
            go = ("Open it", issue_path(project_id, issue.number))
            self._session.notify(f"Issue #{issue.number} is written.", go=go)
            await self._done()
        self._add.enable()

    def _typed(self) -> NewIssue:
        return NewIssue.model_construct(
            title=self._title.control.value.strip(),
            body=self._body.control.value or "",
            labels=[READY_LABEL] if self._ready.value else [],
            priority=Priority(self._priority.value),
            blocked_by=list(self._blockers),
        )

    def _clear(self) -> None:
        self._title.control.set_value("")
        self._body.control.set_value("")
        self._priority.set_value(str(Priority.NORMAL))
        self._set_blockers([])


class IssueText:
    """The text, or the form that edits it; `foot` takes further buttons."""

    def __init__(
        self,
        session: PageSession,
        project_id: str,
        issue: IssueOut,
        html: str,
        done: Callable[[], Awaitable[None]],
    ) -> None:
        self._session, self._id, self._issue, self._done = session, project_id, issue, done
        self._editor: IssueEditor | None = None
        self._shown = issue.body
        self._format = LatestRequest(lambda: format_markdown(self._issue.body), self._show_text)
        with testid(ui.element("section").classes("card"), "issue-body"):
            self._reading = ui.element("div").classes("stack")
            with self._reading:
                self._text = ui.html("", sanitize=clean)
                with ui.element("div").classes("foot") as self.foot:
                    self._edit = session.offer(
                        "change_issue",
                        project_id,
                        lambda: button("Edit", self._begin, kind="small", mark="edit-issue"),
                    )
            self._writing = ui.element("div").classes("stack")
            self._writing.set_visibility(False)
        self._show_text(html)

    def show(self, issue: IssueOut, *, may_write: bool) -> None:
        """Show the present text; an open form is left alone."""
        self._issue = issue
        self._edit.set_visibility(may_write)
        if issue.body != self._shown:
            self._shown = issue.body
            background_tasks.create(self._format.request(), name="format an issue")

    def _show_text(self, html: str) -> None:
        if not self._session.client.is_deleted:
            self._text.set_content(html if self._issue.body.strip() else NOTHING)

    def _begin(self) -> None:
        self._editor = IssueEditor(self._issue)
        self._writing.clear()
        with self._writing:
            self._draw_form(self._editor)
        self._reading.set_visibility(False)
        self._writing.set_visibility(True)

    def _draw_form(self, editor: IssueEditor) -> None:
        self._notice = testid(ui.element("div"), "edited-meanwhile")
        self._title = text_field("Title", editor.title, mark="edit-title")
        self._title.control.bind_value_to(editor, "title", forward=lambda value: value or "")
        self._body = area_field("What to do", editor.body, hint=BLOCKED_HINT, mark="edit-body")
        self._body.control.bind_value_to(editor, "body", forward=lambda value: value or "")
        with ui.element("div").classes("foot"):
            ui.element("span").classes("sp")
            button("Cancel", self._end, mark="cancel-edit")
            self._save = button("Save", self._submit, kind="pri", mark="save-issue")

    def _end(self) -> None:
        self._editor = None
        self._writing.clear()
        self._writing.set_visibility(False)
        self._reading.set_visibility(True)

    async def _submit(self) -> None:
        editor = self._editor
        if editor is None or not self._save.enabled:
            return
        if editor.wrong:
            self._title.refuse(editor.wrong)
            return
        if not editor.is_changed:
            self._end()
            return
        self._save.disable()
        try:
            await self._session.api.change_issue(self._id, self._issue.number, **editor.change())
        except (ApiProblem, NoAnswer) as problem:
            self._save.enable()
            if isinstance(problem, ApiProblem) and editor.notice(problem):
                self._draw_notice(editor)
            else:
                self._session.refuse(problem)
            return
        self._end()
        await self._done()

    def _draw_notice(self, editor: IssueEditor) -> None:
        theirs = editor.theirs or {}
        lines = "\n".join(plain_html(line) for line in theirs["body"].split("\n"))
        self._notice.clear()
        with self._notice, ui.element("div").classes("banner wait tall").props("role=alert"):
            ui.html(
                "<b>Someone else saved this issue first. Your changes are not saved yet.</b>"
                f'<div class="theirs"><div>Theirs: <b>{plain_html(theirs["title"])}</b></div>'
                f'<pre class="body">{lines}</pre></div>',
                sanitize=clean,
            )
            with ui.element("div").classes("line"):
                button("Save mine over it", self._save_mine, kind="small", mark="save-mine")
                button("Take theirs", self._take_theirs, kind="small", mark="take-theirs")

    async def _save_mine(self) -> None:
        if self._editor is not None:
            self._editor.keep_mine()
            self._show_typed(self._editor)
            await self._submit()

    def _take_theirs(self) -> None:
        if self._editor is not None:
            self._editor.take_theirs()
            self._show_typed(self._editor)

    def _show_typed(self, editor: IssueEditor) -> None:
        self._notice.clear()
        self._title.control.set_value(editor.title)
        self._body.control.set_value(editor.body)
