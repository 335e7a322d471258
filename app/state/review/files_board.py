"""The files and comments of a change as one person sees them, their own latest marks included."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from app.api.schemas.review import ChangeCommentOut, ChangeFile
from app.domain.words import Side
from app.state.page.optimistic import OptimisticRows

SAVING, REMOVING = "Saving…", "Deleting…"


@dataclass(frozen=True)
class Spot:
    """The place of a comment: a line, a whole file (no line), or the whole change (no file)."""

    file: str | None = None
    line: int | None = None
    side: Side = Side.NEW

    @property
    def words(self) -> str:
        """The name of the place as people read it."""
        if self.file is None:
            return "The whole change"
        if self.line is None:
            return "The whole file"
        return f"Line {self.line}" + (" (old)" if self.side is Side.OLD else "")

    @property
    def address(self) -> str:
        """The place as assets/typed.js reads it."""
        return json.dumps({"file": self.file, "line": self.line, "side": self.side})


def spot_of(comment: ChangeCommentOut) -> Spot:
    """Return the place that a comment has now."""
    if comment.line is None:
        return Spot(comment.file)
    return Spot(comment.file, comment.line, comment.side)


@dataclass(frozen=True)
class Folder:
    """A folder of the tree with those of its files that the filter leaves."""

    name: str
    files: tuple[ChangeFile, ...]


class FilesBoard:
    """Files by path and comments by age; pending marks and comments are applied on top."""

    def __init__(self) -> None:
        self._files: OptimisticRows[ChangeFile] = OptimisticRows(_path_of, lambda _: 0)
        self._comments: OptimisticRows[ChangeCommentOut] = OptimisticRows(_id_of, lambda c: -c.id)
        self._new_ids = count(-1, -1)
        self.filter = ""

    def load_files(self, files: Iterable[ChangeFile]) -> None:
        """Replace the files by a fresh snapshot; pending marks stay."""
        self._files.load(files)

    def load_comments(self, comments: Iterable[ChangeCommentOut]) -> None:
        """Replace the comments by a fresh snapshot; pending ones stay."""
        self._comments.load(comments)

    # --- files ---------------------------------------------------------------------------------

    def files(self) -> list[ChangeFile]:
        """Return all files in the order of the tree: by folder, then by name."""
        return sorted(self._files.visible(), key=lambda one: split_path(one.path))

    def file(self, path: str) -> ChangeFile | None:
        """Return a file as it is shown, also by its path before a rename."""
        found = self._files.shown(path)
        if found is not None:
            return found
        return next((one for one in self._files.unsorted() if one.previous == path), None)

    def is_listed(self, file: ChangeFile) -> bool:
        """Return True for a file that the filter leaves: each of its words is in the path."""
        path = file.path.lower()
        return all(word in path for word in self.filter.lower().split())

    def tree(self) -> list[Folder]:
        """Return the folders with the files that the filter leaves."""
        folders: dict[str, list[ChangeFile]] = {}
        for file in self.files():
            if self.is_listed(file):
                folders.setdefault(split_path(file.path)[0], []).append(file)
        return [Folder(name, tuple(files)) for name, files in folders.items()]

    def viewed(self) -> tuple[int, int]:
        """Return how many files are marked as viewed, and how many there are."""
        files = list(self._files.unsorted())
        return sum(one.viewed for one in files), len(files)

    def size(self) -> tuple[int, int]:
        """Return the numbers of added and deleted lines."""
        files = list(self._files.unsorted())
        return sum(one.additions or 0 for one in files), sum(one.deletions or 0 for one in files)

    async def mark(
        self,
        path: str,
        act: Callable[[], Awaitable[None]],
        show: Callable[[], object],
        *,
        viewed: bool,
    ) -> None:
        """Mark a file as viewed or not, at once; taken back if `act` fails. Raises as it does."""
        file = self._files.shown(path)
        if file is None or file.viewed == viewed:
            return
        marked = file.model_copy(update={"viewed": viewed})

        async def answer() -> ChangeFile:
            await act()
            return marked

        await self._files.attempt(marked, answer, word=SAVING, show=show)

    # --- comments ------------------------------------------------------------------------------

    def comments(self) -> list[ChangeCommentOut]:
        """Return all comments, oldest first."""
        shown = self._comments.visible()
        return sorted(shown, key=lambda one: (one.id < 0, abs(one.id)))

    def by_spot(self) -> dict[Spot, list[ChangeCommentOut]]:
        """Return the comments by their place; one on a file that is gone is on the change."""
        found: dict[Spot, list[ChangeCommentOut]] = {}
        for one in self.comments():
            spot = spot_of(one)
            if spot.file is not None:
                file = self.file(spot.file)
                spot = Spot() if file is None else Spot(file.path, spot.line, spot.side)
            found.setdefault(spot, []).append(one)
        return found

    def counts(self) -> dict[str, int]:
        """Return how many comments each file has."""
        found: dict[str, int] = {}
        for spot, comments in self.by_spot().items():
            if spot.file is not None:
                found[spot.file] = found.get(spot.file, 0) + len(comments)
        return found

    def drafts(self) -> list[ChangeCommentOut]:
        """Return this person's comments that were not sent yet."""
        return [one for one in self.comments() if one.draft]

    def word_of(self, comment: ChangeCommentOut) -> str:
        """Return the busy word of a comment, "" if nothing is pending."""
        return SAVING if comment.id < 0 else self._comments.word_of(_id_of(comment))

    async def add(
        self,
        spot: Spot,
        text: str,
        at: tuple[str, datetime],
        act: Callable[[], Awaitable[ChangeCommentOut]],
        show: Callable[[], object],
    ) -> ChangeCommentOut:
        """Show a draft at once, by an author at a time; gone again if `act` fails.

        Raises what `act` raises.
        """
        author, now = at
        new = ChangeCommentOut(
            id=next(self._new_ids),
            file=spot.file,
            line=spot.line,
            side=spot.side,
            text=text,
            draft=True,
            outdated=False,
            author=author,
            created_at=now,
        )
        mutation = self._comments.begin(new, word=SAVING)
        try:
            show()
            answer = await act()
            mutation.confirm(answer)
            return answer
        finally:
            mutation.restore()
            show()

    async def edit(
        self,
        comment: ChangeCommentOut,
        text: str,
        act: Callable[[], Awaitable[ChangeCommentOut]],
        show: Callable[[], object],
    ) -> None:
        """Give a draft another text, at once; the old one returns if `act` fails."""
        edited = comment.model_copy(update={"text": text})
        await self._comments.attempt(edited, act, word=SAVING, show=show)

    async def remove(
        self,
        comment: ChangeCommentOut,
        act: Callable[[], Awaitable[None]],
        show: Callable[[], object],
    ) -> None:
        """Delete a draft; it stays, marked as busy, until `act` is done."""

        async def drop() -> None:
            await act()
            self._comments.drop(_id_of(comment))

        await self._comments.attempt(comment, drop, word=REMOVING, show=show)


def split_path(path: str) -> tuple[str, str]:
    """Return the folder of a path, empty for the top one, and the file's name."""
    folder, _, name = path.rpartition("/")
    return folder, name


def _path_of(file: ChangeFile) -> str:
    return file.path


def _id_of(comment: ChangeCommentOut) -> str:
    return str(comment.id)
