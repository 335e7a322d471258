"""The search palette (Ctrl K, Cmd K) of every page; assets/palette.js opens it and moves in it."""

from __future__ import annotations

import re
from typing import Any, get_args

from nicegui import ui

from app.api.schemas import SearchOut
from app.pages.components.countdown import ago_html
from app.pages.components.icons import MARKS, Mark, icon, mark
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.projects.project_actions import ProjectActs
from app.state.system.palette import Entry, asks_server, groups_of, scope_of

KEYS = (
    "<span><kbd>↑</kbd> <kbd>↓</kbd> move</span><span><kbd>↵</kbd> open</span>"
    "<span><kbd>Ctrl</kbd> <kbd>↵</kbd> new tab</span>"
    '<span class="sp"></span><span><kbd>&gt;</kbd> commands</span><span><kbd>#</kbd> issues</span>'
)
# one press anywhere on a row: a link opens by itself, a command is told to the server
PRESS = """(event) => {
  const row = event.target.closest("[data-command]");
  if (row) emit([row.dataset.command, row.dataset.project]);
}"""
MARK_NAMES = frozenset(get_args(Mark))


class Palette:
    """The dialog; it is drawn closed, and asks the server only for what is typed."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._text = ""
        self._acts = ProjectActs(session.api, session.board, session.now, session.announce)
        self._look = session.looker(self._ask, self._take)
        with testid(ui.element("dialog").classes("palette"), "command-palette") as self._box:
            self._box.props["aria-label"] = "Search"
            with ui.element("div").classes("asked"):
                ui.html(icon("search"), sanitize=clean, tag="span")
                field = testid(ui.element("input"), "palette-input")
                field.props(
                    "type=text role=combobox aria-expanded=true aria-controls=palette-list"
                    " autocomplete=off spellcheck=false maxlength=200"
                )
                field.props["aria-label"] = "Search projects, issues, changes and runs"
                field.props["placeholder"] = "Search or type > for commands"
                ui.html("Esc", sanitize=clean, tag="kbd").props("aria-hidden=true")
            self._list = ui.html("", sanitize=clean).classes("found")
            self._list.props('id=palette-list role=listbox aria-label="Found"')
            ui.html(KEYS, sanitize=clean).classes("hints").props("aria-hidden=true")
        self._box.on("search", self._search, js_handler="(event) => emit(event.detail)")
        self._list.on("click", self._press, js_handler=PRESS)

    async def _search(self, event: Any) -> None:
        self._text = str(event.args)[:200]
        if not asks_server(self._text):
            self._show(self._text, None)
            return
        await self._look()

    async def _ask(self) -> tuple[str, SearchOut]:
        asked = self._text
        scope, words = scope_of(asked)
        return asked, await self._session.api.search(f"#{words}" if scope == "issues" else words)

    def _take(self, answer: tuple[str, SearchOut]) -> None:
        asked, found = answer
        if asked == self._text:  # an answer to earlier words is not shown any more
            self._show(asked, found)

    def _show(self, asked: str, found: SearchOut | None) -> None:
        if self._session.client.is_deleted:
            return
        groups = groups_of(asked, self._session.board.listing(), found, self._session.may)
        words, count, html = scope_of(asked)[1], 0, ""
        for group in groups:
            html += f'<div class="sec" role="presentation">{text(group.name)}</div>'
            for entry in group.entries:
                html += self._entry_html(entry, words, count)
                count += 1
        nothing = '<p class="none">Nothing found.</p>'
        self._list.set_content(html or nothing)

    def _entry_html(self, entry: Entry, words: str, number: int) -> str:
        at = ago_html(entry.at, self._session.now()) if entry.at else ""
        inner = (
            f'{_sign_html(entry)}<span class="clip">{highlighted(entry.title, words)}</span>'
            f'<span class="clip mut">{plain_html(entry.note)}</span>{at}'
        )
        marks = f'class="pk" role="option" id="found-{number}" data-testid="palette-item"'
        if entry.command:
            what = f'data-command="{entry.command}" data-project="{text(entry.project_id)}"'
            return f'<div {marks} {what} tabindex="-1">{inner}</div>'
        return f'<a {marks} href="{text(entry.href)}" tabindex="-1">{inner}</a>'

    async def _press(self, event: Any) -> None:
        command, project_id = event.args
        acts = {"reset": self._reset, "start": self._start}
        if act := acts.get(str(command)):
            await act(str(project_id))

    async def _reset(self, project_id: str) -> None:
        await self._acts.reset(project_id)
        self._say(project_id, "Failure count reset.", None)

    async def _start(self, project_id: str) -> None:
        run = await self._acts.start(project_id)
        go = ("Open the run", f"/runs/{run.id}") if run else None
        self._say(project_id, "AFK run started.", go)

    def _say(self, project_id: str, words: str, go: tuple[str, str] | None) -> None:
        trouble = self._acts.trouble(project_id)
        if trouble is None:
            self._session.notify(words, go=go)
        else:
            self._session.notify(
                trouble.sentence, go=("Open the project", f"/projects/{project_id}")
            )


def _sign_html(entry: Entry) -> str:
    if entry.status is not None:
        return mark(MARKS[entry.status])
    for name in MARK_NAMES:
        if entry.sign == name:
            return mark(name)
    return icon(entry.sign)


def highlighted(title: str, words: str) -> str:
    """Return a title as HTML with the searched words marked; both are escaped."""
    wanted = "|".join(re.escape(word) for word in words.split())
    if not wanted:
        return plain_html(title)
    parts = re.split(f"({wanted})", title, flags=re.IGNORECASE)
    return "".join(
        f"<mark>{plain_html(part)}</mark>" if number % 2 else plain_html(part)
        for number, part in enumerate(parts)
    )
