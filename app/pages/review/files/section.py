"""One file of a change: its header, its lines in chunks, and the comments between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from nicegui import background_tasks, ui

from app.api.client.client import ApiProblem, DiffText, NoAnswer
from app.api.schemas.review import ChangeCommentOut, ChangeFile
from app.domain.review.diffs import DiffLine, read_diff
from app.domain.review.line_layout import Place, chunks, find_again, find_place
from app.domain.words import FileStatus
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import give, testid
from app.pages.review.files.lines import LineLook, lines_html
from app.pages.review.files.threads import Thread, ThreadBook
from app.state.review.files_board import Spot, split_path

LABELS = {
    FileStatus.ADDED: "new file",
    FileStatus.DELETED: "deleted",
    FileStatus.RENAMED: "renamed",
}
# git's own lines about a file, which its header says in words
_KNOWN_META = ("new file mode", "deleted file mode", "similarity index", "rename ", "Binary files ")
Lines = tuple[DiffLine, ...]


@dataclass
class Chunk:
    """Consecutive lines of a file; drawn when they come near the window."""

    section: FileSection
    element: ui.html
    first: int
    count: int
    is_drawn: bool = False


@dataclass(frozen=True)
class Reading:
    """How sections get their lines, and what else they need of the page."""

    read: Callable[[str], Awaitable[DiffText]]
    book: ThreadBook
    look: Callable[[], LineLook]


COMMENT = (
    '<button type="button" class="btn small bare on-file" data-testid="file-add"'
    " data-file-add>Comment</button>"
)


class FileSection:
    """A file with its header, its lines in chunks, and the comments between them."""

    def __init__(self, index: int, file: ChangeFile, reading: Reading) -> None:
        self.index, self.file, self._reading = index, file, reading
        self._lines: Lines | None = None
        self._is_stale = False
        self._chunks: list[Chunk] = []
        self._threads: dict[Spot, Thread] = {}
        self._comments: Mapping[Spot, Sequence[ChangeCommentOut]] = {}
        with ui.element("section").classes("diff-file") as self.element:
            testid(self.element, "diff-file", path=file.path, file=str(index))
            folded = {"data-folded": ""} if file.folded or file.viewed else {}
            give(self.element, {"id": f"file-{index}", "aria-label": file.path} | folded)
            self._can_comment = reading.look().can_comment
            head = head_html(file, index, can_comment=self._can_comment)
            self._head = ui.html(head, sanitize=clean).classes("fh")
            self._notes: ui.element | None = None
            self._body = ui.element("div").classes("diff-lines")
            give(self._body, {"tabindex": "0", "aria-label": f"Lines of {file.path}"})
        self._seen_head = _without_mark(file)
        set_viewed(self.element, file)
        self._await_lines()

    @property
    def is_read(self) -> bool:
        """True once its lines are known, until the change has new commits."""
        return self._lines is not None and not self._is_stale

    @property
    def chunks(self) -> Sequence[Chunk]:
        """Its lines, in order; one without lines until they are known."""
        return self._chunks

    @property
    def boxes(self) -> list[tuple[Thread, str]]:
        """The boxes with half-typed text, and that text."""
        return [(one, box.text) for one in self._threads.values() for box in one.boxes if box.text]

    def show(self, file: ChangeFile) -> None:
        """Show the file's name, size and marks as they are now."""
        self.file = file
        seen = _without_mark(file)
        if seen != self._seen_head:
            self._seen_head = seen
            head = head_html(file, self.index, can_comment=self._can_comment)
            self._head.set_content(head)
        set_viewed(self.element, file)

    def forget(self) -> None:
        """Have the lines read again; those shown stay until they are known to differ."""
        self._is_stale = True

    def _await_lines(self) -> None:
        with self._body:
            element = ui.html("", sanitize=clean).classes("chunk")
        size = (self.file.additions or 0) + (self.file.deletions or 0) + 8
        element.style(f"--n:{min(size, 2_000)}")
        self._chunks = [Chunk(self, element, 0, 0)]

    async def read(self) -> None:
        """Read the lines; boxes and comments stay where they are, or move with their lines."""
        try:
            diff = await self._reading.read(self.file.path)
        except (ApiProblem, NoAnswer) as problem:
            if self._lines is None and not self.element.is_deleted:
                self._say(str(problem))
            return
        # with the lines most likely to be seen, so that the page is updated once
        look = self._reading.look()
        lines, parts, html = await asyncio.to_thread(_made_of, diff, self.file.path, look)
        self._is_stale = False
        if self.element.is_deleted or lines == self._lines:
            return
        before, self._lines = self._lines, lines
        if not lines:
            self._say("A binary file." if self.file.additions is None else "No lines changed.")
            return
        if before is not None:
            self._move_threads(before, lines)
        for chunk in self._chunks:
            chunk.element.delete()
        with self._body:
            self._chunks = [self._chunk(part.start, len(part)) for part in parts]
        self._chunks[0].element.set_content(html)
        self._chunks[0].is_drawn = True
        self._place()

    def _say(self, words: str) -> None:
        chunk = self._chunks[0]
        chunk.is_drawn = True
        chunk.element.style("--n:2")
        chunk.element.set_content(f'<p class="sub">{text(words)}</p>')

    def _chunk(self, first: int, count: int) -> Chunk:
        element = ui.html("", sanitize=clean).classes("chunk").style(f"--n:{count}")
        return Chunk(self, element, first, count)

    async def draw(self, chunk: Chunk) -> None:
        """Fill a chunk with its lines, made in a thread."""
        lines = self._lines
        if lines is None or chunk.is_drawn:
            return
        own = lines[chunk.first : chunk.first + chunk.count]
        chunk.is_drawn = True
        html = await asyncio.to_thread(lines_html, self.file.path, own, self._reading.look())
        if lines is self._lines and not chunk.element.is_deleted:
            chunk.element.set_content(html)

    def redraw(self) -> None:
        """Empty all chunks, for another look."""
        if self._lines:
            for chunk in self._chunks:
                empty(chunk)

    # --- comments ------------------------------------------------------------------------------

    def show_comments(self, comments: Mapping[Spot, Sequence[ChangeCommentOut]]) -> None:
        """Show the comments of this file at their lines, or above them."""
        self._comments = comments
        for spot in comments:
            self._thread(spot)
        for spot, thread in list(self._threads.items()):
            thread.show(comments.get(spot, ()))
            self.drop(thread)
        self._place()

    def write(self, spot: Spot) -> None:
        """Open a box at a line, or for the file."""
        self._thread(spot).write()
        self._place()

    def drop(self, thread: Thread) -> None:
        """Remove a thread that has nothing left."""
        if not thread.is_needed and self._threads.get(thread.spot) is thread:
            del self._threads[thread.spot]
            thread.element.delete()

    def _thread(self, spot: Spot) -> Thread:
        if spot not in self._threads:
            with self._notes_box():
                self._threads[spot] = Thread(self._reading.book, spot)
        return self._threads[spot]

    def _place(self) -> None:
        """Put each thread below its line, or on top where the diff does not show that line."""
        lines: dict[int, list[Thread]] = {}
        for spot, thread in self._threads.items():
            index = self._index_of(spot)
            if index is not None:
                lines.setdefault(index, []).append(thread)
            elif thread.element not in self._notes_box().default_slot.children:
                thread.element.move(self._notes_box())
        for index, threads in lines.items():
            before = self._split_after(index).element
            for thread in threads:
                _move_behind(thread.element, before, self._body)
                before = thread.element

    def _notes_box(self) -> ui.element:
        # above the lines, for what is not on one of them; most files have nothing there
        if self._notes is None:
            with self.element:
                self._notes = ui.element("div").classes("notes")
            self._notes.move(target_index=1)
        return self._notes

    def _index_of(self, spot: Spot) -> int | None:
        if spot.line is None or not self._lines:
            return None
        is_outdated = any(one.outdated for one in self._comments.get(spot, ()))
        return None if is_outdated else find_place(self._lines, Place(spot.side, spot.line))

    def _split_after(self, index: int) -> Chunk:
        """Return the chunk that ends with a line, splitting the one that holds it."""
        at = next(n for n, one in enumerate(self._chunks) if index < one.first + one.count)
        chunk = self._chunks[at]
        kept = index + 1 - chunk.first
        if kept == chunk.count:
            return chunk
        with self._body:
            rest = self._chunk(index + 1, chunk.count - kept)
        _move_behind(rest.element, chunk.element, self._body)
        chunk.count = kept
        chunk.element.style(f"--n:{kept}")
        self._chunks.insert(at + 1, rest)
        if chunk.is_drawn:
            chunk.is_drawn = False
            # both are drawn again at once, so that nothing jumps
            cast("Any", background_tasks).create(self._draw_both(chunk, rest), name="split a diff")
        return chunk

    async def _draw_both(self, first: Chunk, second: Chunk) -> None:
        await self.draw(first)
        await self.draw(second)

    def _move_threads(self, before: Lines, after: Lines) -> None:
        moved: dict[Spot, Thread] = {}
        for spot, thread in self._threads.items():
            if spot.line is not None and any(box.text for box in thread.boxes):
                place = find_again(before, after, Place(spot.side, spot.line))
                if place is not None and Spot(spot.file, place.line, place.side) not in moved:
                    thread.spot = Spot(spot.file, place.line, place.side)
            moved[thread.spot] = thread
        self._threads = moved


def _without_mark(file: ChangeFile) -> ChangeFile:
    return file.model_copy(update={"viewed": False})


def empty(chunk: Chunk) -> None:
    """Remove a chunk's lines from the page; its height stays."""
    chunk.is_drawn = False
    chunk.element.set_content("")


def head_html(file: ChangeFile, index: int, *, can_comment: bool) -> str:
    """Return a file's header: fold, folder and name, size, marks, and comment on it."""
    folder, name = split_path(file.path)
    place = f"{plain_html(folder)}/" if folder else ""
    marks: list[str] = []
    if file.additions is not None:
        marks.append(f'<b class="add">+{file.additions}</b><b class="del">−{file.deletions}</b>')
    else:
        marks.append('<span class="lab">binary</span>')
    if label := LABELS.get(file.status):
        was = f' title="was {plain_html(file.previous)}"' if file.previous else ""
        marks.append(f'<span class="lab"{was}>{label}</span>')
    if file.folded:
        marks.append('<span class="lab">generated</span>')
    return (
        '<button type="button" class="fold" data-fold aria-label="Fold or unfold the lines">'
        f'</button><span class="df-path" title="{plain_html(file.path)}">{place}'
        f'<b>{plain_html(name)}</b></span>{"".join(marks)}<span class="sp"></span>'
        f'{COMMENT if can_comment else ""}<span class="seen">{viewed_html(file, index)}'
        "<span>Viewed <kbd>v</kbd></span></span>"
    )


def viewed_html(file: ChangeFile, index: int) -> str:
    """Return a checkbox that marks a file as viewed; assets/diff.js keeps it up to date."""
    return (
        '<button type="button" role="checkbox" class="cb" data-testid="file-viewed"'
        f' data-viewed="{index}" aria-checked="{str(file.viewed).lower()}"'
        f' aria-label="Viewed: {plain_html(file.path)}"></button>'
    )


def set_viewed(around: ui.element, file: ChangeFile) -> None:
    """Have the checkbox in an element show whether the file is marked as viewed."""
    seen = str(file.viewed).lower()
    props = cast("dict[str, Any]", around.props)
    if props.get("data-seen") != seen:
        props["data-seen"] = seen


def _made_of(diff: DiffText, path: str, look: LineLook) -> tuple[Lines, list[range], str]:
    """Return the lines of a diff, the ranges of its chunks, and the first of them as HTML."""
    lines = _lines_of(diff)
    parts = chunks(lines)
    return lines, parts, lines_html(path, lines[: parts[0].stop], look) if parts else ""


def _lines_of(diff: DiffText) -> Lines:
    found = [line for part in read_diff(diff.text) for line in part.lines]
    lines = [one for one in found if not _is_said_by_the_header(one)]
    if diff.is_cut:
        lines.append(DiffLine("meta", "… The rest is too long to show."))
    return tuple(lines)


def _is_said_by_the_header(line: DiffLine) -> bool:
    return line.kind == "meta" and line.words.startswith(_KNOWN_META)


def _move_behind(element: ui.element, before: ui.element, box: ui.element) -> None:
    """Move an element behind another one in a box, unless it stands there: moving takes focus."""
    children = box.default_slot.children
    if element in children:
        at = children.index(element)
        if at and children[at - 1] is before:
            return
    target = children.index(before) + 1
    is_before = element in children and children.index(element) < target
    element.move(box, target_index=target - is_before)
