"""The tree of a change's files: folders, comment counts, and marks of what was viewed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from app.api.schemas.review import ChangeFile
from app.pages.components.icons import icon
from app.pages.components.markup import clean, counted, plain_html, text
from app.pages.components.testids import testid
from app.pages.review.files.section import set_viewed, viewed_html
from app.state.review.files_board import FilesBoard, split_path


@dataclass
class _Row:
    element: ui.html
    file: ChangeFile
    comments: int = 0


class FilesTree:
    """Filter, tree and progress; rows are updated in place."""

    def __init__(self, board: FilesBoard, number_of: Callable[[str], int | None]) -> None:
        self._board, self._number_of = board, number_of
        self._rows: dict[str, _Row] = {}
        self._folders: dict[str, ui.html] = {}
        with testid(ui.element("nav").classes("tree"), "file-tree") as nav:
            nav.props["aria-label"] = "Files of this change"
            with ui.element("div").classes("find"):
                ui.html(icon("search", kind="s"), sanitize=clean, tag="span")
                field = ui.input(placeholder="Filter files", on_change=self._filter)
                field.props('borderless dense aria-label="Filter files" data-key="t"')
                testid(field, "file-filter")
                ui.html("t", sanitize=clean, tag="kbd").props("aria-hidden=true")
            self._list = ui.element("div").classes("rows")
            self._none = ui.html("No file has these words.", sanitize=clean).classes("sub")
            self._progress = testid(ui.html("", sanitize=clean), "files-viewed")

    def draw(self, files: Sequence[ChangeFile]) -> None:
        """Draw a row for each of these files, and a heading for each folder."""
        folders: dict[str, list[ChangeFile]] = {}
        for file in files:
            folders.setdefault(split_path(file.path)[0], []).append(file)
        paths = {one.path for one in files}
        for path in [one for one in self._rows if one not in paths]:
            self._rows.pop(path).element.delete()
        for name in [one for one in self._folders if one not in folders]:
            self._folders.pop(name).delete()
        place = 0
        with self._list:
            for name, own in folders.items():
                self._put(self._folder(name), place)
                for at, file in enumerate(own, place + 1):
                    self._put(self._row(file).element, at)
                place += len(own) + 1

    def show(self) -> None:
        """Show counts, marks and the filter as they are now."""
        counts = self._board.counts()
        listed = {file.path for folder in self._board.tree() for file in folder.files}
        folders = {split_path(path)[0] for path in listed}
        for path, row in self._rows.items():
            file = self._board.file(path) or row.file
            if counts.get(path, 0) != row.comments:
                row.comments = counts.get(path, 0)
                row.element.set_content(_row_html(file, self._number_of(path) or 0, row.comments))
            set_viewed(row.element, file)
            row.element.set_visibility(path in listed)
        for name, heading in self._folders.items():
            heading.set_visibility(bool(name) and name in folders)
        self._none.set_visibility(bool(self._rows) and not listed)
        self._progress.set_content(progress_html(*self._board.viewed()))

    def _folder(self, name: str) -> ui.html:
        if name not in self._folders:
            words = f'{icon("folder", kind="s")}<span class="clip">{plain_html(name)}</span>'
            self._folders[name] = ui.html(words, sanitize=clean).classes("tr folder")
        return self._folders[name]

    def _row(self, file: ChangeFile) -> _Row:
        if file.path not in self._rows:
            html = _row_html(file, self._number_of(file.path) or 0, 0)
            element = ui.html(html, sanitize=clean).classes("tr")
            testid(element, "file-tree-item", path=file.path)
            self._rows[file.path] = _Row(element, file)
        self._rows[file.path].file = file
        return self._rows[file.path]

    def _put(self, element: ui.element, place: int) -> None:
        children = self._list.default_slot.children
        if children[place] is not element:
            element.move(target_index=place)

    def _filter(self, change: ValueChangeEventArguments[Any]) -> None:
        self._board.filter = str(change.value or "")
        self.show()


def _row_html(file: ChangeFile, number: int, comments: int) -> str:
    """Return a file's link in the tree, with the number of its comments."""
    name = split_path(file.path)[1]
    said = ""
    if comments:
        about = counted(comments, "comment")
        said = (
            f'<span class="said" title="{about}">{icon("message-square", kind="s")}'
            f'<span class="sr">{about}</span><span aria-hidden="true">{comments}</span></span>'
        )
    return (
        f'<a href="#file-{number}" data-to-file="{number}" title="{plain_html(file.path)}">'
        f'{icon("file-code", kind="s")}<span class="clip">{plain_html(name)}</span></a>{said}'
        f"{viewed_html(file, number)}"
    )


def progress_html(viewed: int, count: int) -> str:
    """Return `2 of 6 viewed` with its bar."""
    words = text(f"{viewed} of {count} viewed")
    return (
        f'<p class="sub">{words}</p><progress class="pbar" max="{max(count, 1)}"'
        f' value="{viewed}" aria-label="{words}"></progress>'
    )
