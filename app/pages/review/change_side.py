"""Beside a change: what speaks for and against a merge, the decisions, its runs and its files."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ProjectOut, RunItem
from app.domain.tracker.merge_waits import dropped_words
from app.domain.words import Phase
from app.pages.components.buttons import button
from app.pages.components.countdown import day_html
from app.pages.components.icons import MARKS, Mark, icon, mark
from app.pages.components.markup import clean, counted, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.review.change_dialogs import ChangeDialogs, undo_merge
from app.pages.review.change_view import ChangeView
from app.pages.shell.page_session import PageSession
from app.pages.shell.theme import look_of
from app.state.review.change_asks import AskedChange
from app.state.review.change_words import (
    CI_WORDS,
    can_be_undone,
    checks_words,
    comments_state,
    merge_note,
    run_facts,
    run_name,
    undo_words,
    viewed_words,
    why_not_merged,
)

FILES_NAMED = 50
MARKS_OF: dict[str, Mark] = {"go": "done", "stop": "fail", "wait": "warn", "acc": "running"}
COMMITS_NAMED = 20


class ChangeSide:
    """The column beside a change; on a phone its decisions stand at the foot of the screen."""

    def __init__(
        self,
        session: PageSession,
        project: ProjectOut,
        dialogs: ChangeDialogs,
        asked: Callable[[], AskedChange],
    ) -> None:
        self._session, self._id = session, project.id
        self._dialogs, self._asked = dialogs, asked
        self._why = self._lacks = ""
        self._shown: tuple[ChangeView, str] | None = None
        with ui.element("aside").classes("change-side").props('aria-label="Decide"'):
            self._marks = ui.html("", sanitize=clean)
            with ui.element("div").classes("change-acts") as self._acts:
                self._draw_acts()
            self._autoland = testid(ui.html("", sanitize=clean), "change-autoland")
            self._ended = testid(ui.html("", sanitize=clean), "change-ended")
            with ui.element("div").classes("change-acts") as self._undoing:
                self._undo = session.offer("undo", project.id, self._undo_button)
            self._lists = ui.html("", sanitize=clean)

    def _undo_button(self) -> ui.button:
        return button("Undo", self._undo_merge, mark="change-undo", key="z")

    def _draw_acts(self) -> None:
        offer = self._session.offer
        self._merge = offer("merge", self._id, self._merge_button)
        self._cancel = offer("cancel_merge", self._id, self._cancel_button)
        self._note = offer("merge", self._id, self._draw_note)
        self._request = offer("request_changes", self._id, self._request_button)
        offer("close", self._id, self._draw_more)

    def _merge_button(self) -> ui.button:
        return button("Merge", self.ask_to_merge, kind="pri", mark="change-merge", key="m")

    def _cancel_button(self) -> ui.button:
        return button("Cancel merge", self._cancel_merge, mark="change-cancel-merge")

    def _draw_note(self) -> ui.html:
        note = ui.html("", sanitize=clean, tag="p").classes("note sub")
        return note.props(f"id={note.html_id}")

    def _request_button(self) -> ui.button:
        return button("Request changes", self.ask_to_change, mark="change-request", key="r")

    def _draw_more(self) -> None:
        more = ui.element("button").classes("btn ico change-more").props("type=button")
        with testid(more, "change-more"):
            ui.html(icon("ellipsis"), sanitize=clean, tag="span")
        with ui.element("div").classes("change-rest").props("popover=auto") as rest:
            button("Close change", self.ask_to_close, kind="bare", mark="change-close", key="e")
        more.props(f'popovertarget={rest.html_id} aria-label="More actions"')

    def show(self, view: ChangeView, word: str) -> None:
        """Show what is so; `word` is the busy word of an action under way."""
        self._shown = view, word
        snapshot = view.snapshot
        change = snapshot.change
        project = self._session.board.get(self._id)
        is_open = change.state == "open"
        is_archived = project is not None and project.archived_at is not None
        self._why = why_not_merged(snapshot, is_archived=is_archived) or self._lacks
        self._marks.set_content(marks_html(view) if is_open else "")
        self._acts.set_visibility(is_open)
        self._merge.set_text(word or "Merge")
        # a merge that the forge is to make can only be canceled
        self._merge.set_visibility(change.merge_waits is None)
        self._cancel.set_visibility(change.merge_waits is not None)
        is_off = bool(self._why or word)
        self._merge.props["aria-disabled"] = str(is_off).lower()
        self._merge.props["aria-describedby"] = self._note.html_id
        note = self._why or merge_note(snapshot)
        self._note.set_content(text(note))
        self._note.set_visibility(bool(note))
        self._autoland.set_content(autoland_html(view))
        self._ended.set_content(ended_html(view))
        self._ended.set_visibility(not is_open)
        self._undoing.set_visibility(can_be_undone(change) and not is_archived)
        self._request.set_visibility(change.reverts is None)
        self._lists.set_content(runs_html(view) + commits_html(view) + files_html(view))

    def set_lacks(self, because: str) -> None:
        """Set why approvals keep the change from being merged, empty if they do not."""
        self._lacks = because
        if self._shown is not None:
            self.show(*self._shown)

    def ask_to_merge(self) -> None:
        """Open the dialog that merges, or say why the change cannot be merged."""
        if self._why:
            self._session.notify(self._why)
        elif self._merge.props["aria-disabled"] != "true":
            self._dialogs.merge(self._asked())

    def ask_to_change(self) -> None:
        """Open the dialog that asks the agent for changes."""
        self._dialogs.request(self._asked())

    async def _cancel_merge(self) -> None:
        self._cancel.set_enabled(False)
        try:
            await self._session.api.cancel_merge(self._id, self._asked().number)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        else:
            self._session.notify("The forge no longer merges it.")
        finally:
            self._cancel.set_enabled(True)

    async def _undo_merge(self) -> None:
        self._undo.set_enabled(False)
        try:
            await undo_merge(self._session, self._id, self._asked().number)
        finally:
            self._undo.set_enabled(True)

    def ask_to_close(self) -> None:
        """Open the dialog that closes the change."""
        self._dialogs.close(self._asked())


def marks_html(view: ChangeView) -> str:
    """Return a line for checks, comments and viewed files, each with its mark."""
    snapshot = view.snapshot
    lines: list[tuple[Mark, str]] = []
    if snapshot.change.conflicts:
        lines.append(("warn", f"Conflicts in {counted(len(snapshot.change.conflicts), 'file')}"))
    words, tone = checks_words(snapshot.last_checks)
    if words:
        lines.append((MARKS_OF[tone], words))
    if ci := CI_WORDS.get(snapshot.change.ci.state):
        lines.append((MARKS_OF[ci[1]], ci[0]))
    if note := snapshot.change.merge_note:
        lines.append(("warn", dropped_words(plain(note))))
    said, is_done = comments_state(snapshot)
    if said:
        lines.append(("done" if is_done else "warn", said))
    viewed, is_all = viewed_words(snapshot.files)
    if viewed:
        lines.append(("done" if is_all else "ready", viewed))
    rows = "".join(f"<li>{mark(state)}{text(words)}</li>" for state, words in lines)
    return f'<ul class="change-marks">{rows}</ul>' if rows else ""


def autoland_html(view: ChangeView) -> str:
    """Return why the change was not merged by itself, or that it was; empty if nobody asked."""
    note = view.snapshot.change.autoland_note
    return f'<p class="sub">{plain_html(note)}</p>' if note else ""


def ended_html(view: ChangeView) -> str:
    """Return how a change ended; empty while it is open."""
    change = view.snapshot.change
    if change.state == "open" or change.ended_at is None:
        return ""
    when = day_html(change.ended_at)
    if change.state == "merged":
        sha = (
            f' as <span class="m">{text(change.merged_sha[:7])}</span>' if change.merged_sha else ""
        )
        done = f"<p>Merged into {plain_html(change.base)}{sha}, {when}.</p>"
        return f"{done}{undo_html(view)}"
    why = f": {plain_html(change.closed_because)}" if change.closed_because else ""
    return f"<p>Closed {when}{why}</p>"


def undo_html(view: ChangeView) -> str:
    """Return which change takes a merge back, or what Undo would do."""
    change = view.snapshot.change
    if change.undone_by is not None:
        path = change.url.removesuffix(str(change.number)) + str(change.undone_by)
        return f'<p>Its revert is <a href="{text(path)}">change {change.undone_by}</a>.</p>'
    words = undo_words(change)
    return f'<p class="sub">{text(words)}</p>' if words else ""


def runs_html(view: ChangeView) -> str:
    """Return the runs that worked on the change, newest first."""
    snapshot = view.snapshot
    rows = "".join(_run_html(run, run_name(snapshot, run)) for run in reversed(snapshot.runs))
    return f'<h3>Runs</h3><ul class="change-list">{rows}</ul>' if rows else ""


def _run_html(run: RunItem, name: str) -> str:
    look = look_of(run.status, run.cause)
    facts = run_facts(run) if run.phase is Phase.DONE else look.word
    return (
        f'<li title="{text(look.word)}">{mark(MARKS[run.status])}'
        f'<a href="/runs/{text(run.id)}">{text(name)}</a>'
        f'<span class="sub">{text(facts)}</span></li>'
    )


def commits_html(view: ChangeView) -> str:
    """Return the commits of the change, newest first."""
    commits = view.snapshot.commits
    rows = "".join(
        f'<li title="{plain_html(one.subject)}"><span class="m sub">{text(one.sha[:7])}</span>'
        f'<span class="clip">{plain_html(one.subject)}</span></li>'
        for one in commits[:COMMITS_NAMED]
    )
    more = len(commits) - COMMITS_NAMED
    rest = f'<li class="sub">and {more} more</li>' if more > 0 else ""
    return f'<h3>Commits</h3><ul class="change-list commits">{rows}{rest}</ul>' if rows else ""


def files_html(view: ChangeView) -> str:
    """Return the files of the change with their sizes, each a link to its diff."""
    change, files = view.snapshot.change, view.snapshot.files
    if not files:
        return ""
    rows = "".join(
        f'<li><a class="m" href="{text(change.url)}?tab=files">{plain_html(file.path)}</a>'
        f'<span class="sub"><span class="plus">+{file.additions or 0}</span> '
        f'<span class="minus">−{file.deletions or 0}</span></span></li>'
        for file in files[:FILES_NAMED]
    )
    more = len(files) - FILES_NAMED
    rest = f'<li class="sub">and {more} more</li>' if more > 0 else ""
    return (
        f'<div class="change-files"><h3>Files</h3><ul class="change-list">{rows}{rest}</ul></div>'
    )
