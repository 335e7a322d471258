"""The Files tab of a change: its tree, its lines, the review that a person writes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from nicegui import background_tasks, ui
from nicegui.events import GenericEventArguments

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ChangeOut
from app.api.schemas.review import ChangeCommentOut, ChangeFile
from app.domain.json.objects import is_object
from app.domain.words import Side
from app.pages.components.buttons import button
from app.pages.components.markup import clean, counted, text
from app.pages.components.testids import testid
from app.pages.review.files.bar import ReviewActs, ReviewBar
from app.pages.review.files.lines import LineLook
from app.pages.review.files.section import Reading
from app.pages.review.files.sections import Sections
from app.pages.review.files.threads import Thread, ThreadBook
from app.pages.review.files.tree import FilesTree
from app.pages.shell.page_session import PageSession
from app.pages.shell.theme import dress_diff
from app.state.review.files_board import FilesBoard, Spot

# lines that are in the page before any script has run
FIRST_LINES = 120
# of more, the rest can be downloaded
MOST_FILES = 500
UNIFIED, SPLIT = "unified", "split"
# keys of assets/diff.js, as the help names them
KEYS = (
    ("j", "k", "Next or previous changed lines"),
    ("[", "]", "Previous or next file"),
    ("v", "Mark the file as viewed, and go to the next"),
    ("c", "Comment on the selected line, or on the whole change"),
)
LOOKS = ((UNIFIED, "Unified"), (SPLIT, "Split"))


class FilesTab:
    """The files of one change; call `load` before the page is shown, and `show` as it changes."""

    def __init__(
        self, session: PageSession, project_id: str, change: ChangeOut, acts: ReviewActs
    ) -> None:
        dress_diff()
        self._session, self._change = session, change
        self._at = project_id, change.number
        self._board = FilesBoard()
        self._book = ThreadBook(session, *self._at, self._board)
        self._book.refresh, self._book.closed = self._show, self._close_thread
        chosen = session.client.request.cookies.get("runyard_diff")
        self._view = SPLIT if chosen == SPLIT else UNIFIED
        self._on_all: Thread | None = None
        self._is_loaded = self._is_stale = False
        self._refusals = 0
        with testid(ui.element("div").classes("diff-tab"), "change-diff") as root:
            root.props["data-diff"] = ""
            root.props["data-refused"] = "0"
            root.props["data-keys-help"] = json.dumps(KEYS)
            self._root = root
            self._listen(root)
            self._tree = FilesTree(self._board, self._number_of)
            with ui.element("div").classes("pane"):
                self._draw_tools(acts)
                self._whole = ui.element("div").classes("notes")
                reading = Reading(self._read, self._book, self._look)
                self._sections = Sections(reading)
                self._rest = ui.html("", sanitize=clean).classes("sub")
            self._bar = ReviewBar(session, self._book, acts, self._is_half_typed)
        self._refetch = session.looker(self._fetch, self._take)

    async def load(self) -> None:
        """Fetch files and comments, and draw the first lines."""
        await self._refetch()
        await self._sections.draw_first(FIRST_LINES)
        self._is_loaded = True

    def show(self, change: ChangeOut) -> None:
        """Follow the change: its state, its comments, and the lines of its newest commit."""
        self._is_stale |= change.head_sha != self._change.head_sha
        self._change = change
        if self._is_loaded:
            cast("Any", background_tasks).create(self._refetch(), name="follow a review")

    # --- drawing -------------------------------------------------------------------------------

    def _draw_tools(self, acts: ReviewActs) -> None:
        project_id, number = self._at
        with ui.element("div").classes("tools"):
            self._size = ui.html("", sanitize=clean, tag="span").classes("size")
            ui.element("span").classes("sp")
            with testid(ui.element("div").classes("seg2"), "view-toggle") as group:
                group.props('role=group aria-label="View"')
                self._looks = {
                    look: self._look_button(look, words, look == self._view)
                    for look, words in LOOKS
                }
            offer = self._session.offer
            self._add = offer("add_comment", project_id, self._add_button)
            path = f"/api/v1/projects/{project_id}/changes/{number}/diff"
            ui.link("Whole diff", path).classes("btn small bare").props("download")
            self._close = offer("close", project_id, lambda: _close_button(acts.close))

    def _add_button(self) -> ui.button:
        write = partial(self._write, Spot())
        return button("Comment", write, kind="small bare", mark="change-add", key="c")

    def _look_button(self, look: str, words: str, is_on: bool) -> ui.element:
        made = button(words, partial(self._set_view, look), kind="small")
        made.props["aria-pressed"] = str(is_on).lower()
        made.props["data-view"] = look
        return made

    def _show(self) -> None:
        if self._session.client.is_deleted:
            return
        self._tree.show()
        spots = self._board.by_spot()
        for section in self._sections:
            path = section.file.path
            section.show(self._board.file(path) or section.file)
            section.show_comments({s: found for s, found in spots.items() if s.file == path})
        self._show_on_all(spots.get(Spot(), []))
        added, deleted = self._board.size()
        files = text(counted(self._board.viewed()[1], "file"))
        self._size.set_content(
            f'{files} <b class="add">+{added:,}</b><b class="del">−{deleted:,}</b>'
        )
        self._bar.show(self._change)
        is_open = self._change.state == "open"
        self._root.classes(**{"remove" if self._may_write else "add": "ended"})
        for one in (self._add, self._close):
            one.set_visibility(is_open)

    def _show_on_all(self, comments: Sequence[ChangeCommentOut]) -> None:
        if comments and self._on_all is None:
            with self._whole:
                self._on_all = Thread(self._book, Spot(), names_place=True)
        if self._on_all is not None:
            self._on_all.show(comments)
            self._close_thread(self._on_all)

    def _look(self) -> LineLook:
        return LineLook(self._view == SPLIT, self._may_write)

    @property
    def _may_write(self) -> bool:
        is_open = self._change.state == "open"
        return is_open and self._session.may("add_comment", self._at[0])

    def _set_view(self, look: str) -> None:
        if look == self._view:
            return
        self._view = look
        for name, made in self._looks.items():
            made.props["aria-pressed"] = str(name == look).lower()
        self._sections.redraw()

    # --- reading -------------------------------------------------------------------------------

    async def _fetch(self) -> tuple[list[ChangeFile], list[ChangeCommentOut]]:
        api = self._session.api
        return await asyncio.gather(api.change_files(*self._at), api.change_comments(*self._at))

    def _take(self, found: tuple[list[ChangeFile], list[ChangeCommentOut]]) -> None:
        files, comments = found
        self._board.load_files(files)
        self._board.load_comments(comments)
        shown = self._board.files()[:MOST_FILES]
        self._sections.show(shown)
        self._tree.draw(shown)
        left = len(files) - len(shown)
        self._rest.set_content(f"{left:,} more files are in the whole diff." if left else "")
        self._show()
        if self._is_stale:
            self._is_stale = False
            self._sections.forget()

    async def _read(self, path: str) -> Any:
        return await self._session.api.file_diff(*self._at, path)

    def _number_of(self, path: str) -> int | None:
        section = self._sections.at(path)
        return None if section is None else section.index

    # --- what a person does --------------------------------------------------------------------

    def _listen(self, root: ui.element) -> None:
        for name, act in (("near", self._near), ("write", self._write_at), ("mark", self._mark)):
            root.on(name, act, js_handler="(event) => emit(event.detail)")

    def _near(self, event: GenericEventArguments) -> None:
        asked = _detail(event).get("ids", ())
        self._sections.want([_number(one) for one in asked])

    def _write_at(self, event: GenericEventArguments) -> None:
        asked = _detail(event)
        section = self._sections.numbered(_number(asked.get("file")))
        # words kept by the browser are shown although nothing can be added any more
        if section is None or not (self._may_write or asked.get("kept")):
            return
        path, line = section.file.path, _number(asked.get("line"))
        side = Side.OLD if asked.get("side") == Side.OLD else Side.NEW
        section.write(Spot(path, line, side) if line else Spot(path))

    def _write(self, spot: Spot) -> None:
        if self._on_all is None:
            with self._whole:
                self._on_all = Thread(self._book, spot, names_place=True)
        self._on_all.write()

    async def _mark(self, event: GenericEventArguments) -> None:
        asked = _detail(event)
        section = self._sections.numbered(_number(asked.get("file")))
        if section is None:
            return
        path, viewed = section.file.path, bool(asked.get("viewed"))
        mark = partial(self._session.api.mark_viewed, *self._at, path, viewed=viewed)
        try:
            await self._board.mark(path, mark, self._show, viewed=viewed)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            # the browser shows its own press until it is told otherwise
            self._refusals += 1
            self._root.props["data-refused"] = str(self._refusals)

    def _close_thread(self, thread: Thread) -> None:
        if thread is self._on_all:
            if not thread.is_needed:
                self._on_all = None
                thread.element.delete()
            return
        section = self._sections.at(thread.spot.file or "")
        if section is not None:
            section.drop(thread)

    def _is_half_typed(self) -> bool:
        threads = [self._on_all] if self._on_all else []
        boxes = [box for one in threads for box in one.boxes if box.text]
        return bool(boxes) or any(section.boxes for section in self._sections)


def _detail(event: GenericEventArguments) -> dict[str, Any]:
    return event.args if is_object(event.args) else {}


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _close_button(close: Callable[[], None]) -> ui.button:
    made = button("Close change", close, kind="small bare", mark="review-close")
    made.props["data-key"] = "e"
    return made
