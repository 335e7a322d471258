"""The files of a change below each other; their lines are read and drawn as they come near."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, cast

from nicegui import background_tasks, ui

from app.api.schemas.review import ChangeFile
from app.pages.review.files.section import Chunk, FileSection, Reading, empty

# lines drawn at one time, far more than a screen shows; those drawn first are emptied again
MOST_DRAWN = 6_000


class Sections:
    """All files of a change; at most `MOST_DRAWN` lines are drawn at one time."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._sections: dict[str, FileSection] = {}
        self._drawn: OrderedDict[int, Chunk] = OrderedDict()
        self._near: list[int] = []
        self._wanted: list[int] = []
        self._worker: asyncio.Task[None] | None = None
        self._next = 0
        self._box = ui.element("div").classes("files")

    def __iter__(self) -> Iterator[FileSection]:
        return iter(self._sections.values())

    def at(self, path: str) -> FileSection | None:
        """Return the section of a file."""
        return self._sections.get(path)

    def numbered(self, index: int) -> FileSection | None:
        """Return the section with a number."""
        return next((one for one in self._sections.values() if one.index == index), None)

    def show(self, files: Sequence[ChangeFile]) -> None:
        """Show these files in order; one that is gone stays while somebody writes in it."""
        paths = {one.path for one in files}
        for path, section in list(self._sections.items()):
            if path not in paths and not section.boxes:
                section.element.delete()
                del self._sections[path]
        for place, file in enumerate(files):
            section = self._sections.get(file.path)
            if section is not None:
                section.show(file)
                continue
            with self._box:
                self._next += 1
                section = FileSection(self._next, file, self._reading)
            self._sections[file.path] = section
            if place < len(self._sections) - 1:
                section.element.move(target_index=place)

    def forget(self) -> None:
        """Have all lines read again as they come near: the change has new commits."""
        for section in self._sections.values():
            section.forget()
        self.want(self._near)

    def redraw(self) -> None:
        """Draw all lines in another look."""
        self._drawn.clear()
        for section in self._sections.values():
            section.redraw()
        self.want(self._near)

    async def draw_first(self, lines: int) -> None:
        """Draw the first lines before the browser has said which ones it shows."""
        for section in list(self._sections.values()):
            if lines <= 0:
                return
            if section.file.folded or section.file.viewed:
                continue
            await section.read()
            for chunk in list(section.chunks):
                if lines > 0:
                    lines -= chunk.count
                    await self._draw(chunk)
            lines -= 1

    def want(self, ids: Sequence[int]) -> None:
        """Draw these chunks, given by their elements' ids; earlier wishes are forgotten."""
        self._near = list(ids)
        self._wanted = list(ids)
        if self._worker is None or self._worker.done():
            self._worker = cast("Any", background_tasks).create(self._work(), name="draw a diff")

    async def _work(self) -> None:
        while self._wanted:
            chunk = self._found(self._wanted.pop(0))
            if chunk is None:
                continue
            if chunk.count == 0 or not chunk.section.is_read:
                await self._open(chunk.section, chunk)
            else:
                await self._draw(chunk)

    async def _open(self, section: FileSection, wanted: Chunk) -> None:
        at = section.chunks.index(wanted)
        await section.read()
        # the browser tells which of the new chunks it shows; this one is likely
        if section.is_read and section.chunks:
            await self._draw(section.chunks[min(at, len(section.chunks) - 1)])

    def _found(self, id_: int) -> Chunk | None:
        for section in self._sections.values():
            for chunk in section.chunks:
                if chunk.element.id == id_:
                    return chunk
        return None

    async def _draw(self, chunk: Chunk) -> None:
        await chunk.section.draw(chunk)
        self._drawn[chunk.element.id] = chunk
        self._drawn.move_to_end(chunk.element.id)
        left = sum(one.count for one in self._drawn.values())
        while left > MOST_DRAWN:
            _, oldest = self._drawn.popitem(last=False)
            left -= oldest.count
            if not oldest.element.is_deleted:
                empty(oldest)
