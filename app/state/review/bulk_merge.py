"""Merging several changes one by one to the first that cannot be merged, and taking it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ChangeOut
from app.api.schemas.inbox import InboxItem

# somebody else has merged or closed it meanwhile
ENDED = "already_ended"


@dataclass(frozen=True)
class BulkEnd:
    """The end of a bulk merge; `title` and `because` say where and why it stopped, if it did.

    `waiting` counts those that their forges merge later.
    """

    merged: tuple[InboxItem, ...]
    left: int = 0
    title: str = ""
    because: str = ""
    waiting: int = 0

    @property
    def sentence(self) -> str:
        """The words that a person is told at the end."""
        merged, waits = len(self.merged), ""
        if self.waiting:
            verb = "merges by itself" if self.waiting == 1 else "merge by themselves"
            waits = f" {_counted(self.waiting)} {verb} at the forge."
        if not self.title:
            return f"Merged {_counted(merged)}.{waits}" if merged or not waits else waits.strip()
        where = f"Stopped at “{self.title}”: {self.because}."
        return f"{where} {merged} merged, {self.left} left.{waits}"


@dataclass(frozen=True)
class BulkUndone:
    """The end of taking back a bulk merge; `title` and `because` are of the first that stayed."""

    opened: int
    stayed: int = 0
    title: str = ""
    because: str = ""

    @property
    def sentence(self) -> str:
        """The words that a person is told at the end."""
        verb = "takes it" if self.opened == 1 else "take them"
        opened = f"{_counted(self.opened)} to review {verb} back." if self.opened else ""
        if not self.stayed:
            return opened
        more = f", and {self.stayed - 1} more" if self.stayed > 1 else ""
        return f"Not undone: “{self.title}” ({self.because}){more}. {opened}".rstrip()


async def merge_in_turn(
    items: Sequence[InboxItem], merge: Callable[[InboxItem], Awaitable[ChangeOut | None]]
) -> BulkEnd:
    """Merge changes in this order; those that somebody else has ended meanwhile are passed over."""
    merged: list[InboxItem] = []
    waiting, title, because, left = 0, "", "", 0
    for place, item in enumerate(items):
        try:
            done = await merge(item)
        except ApiProblem as problem:
            if problem.code == ENDED:
                continue
            because = _because(problem)
        except NoAnswer as problem:
            because = _sentence(str(problem))
        else:
            is_waiting = done is not None and done.state == "open"
            waiting += is_waiting
            merged += [] if is_waiting else [item]
            continue
        title, left = item.title, len(items) - place
        break
    return BulkEnd(tuple(merged), left, title, because, waiting)


async def undo_in_turn(
    items: Sequence[InboxItem], undo: Callable[[InboxItem], Awaitable[Any]]
) -> BulkUndone:
    """Open a change that takes back each merge, the last one first; a refusal stops no other."""
    stayed: list[tuple[str, str]] = []
    for item in reversed(items):
        try:
            await undo(item)
        except ApiProblem as problem:
            stayed.append((item.title, _because(problem)))
        except NoAnswer as problem:
            stayed.append((item.title, _sentence(str(problem))))
    title, because = stayed[0] if stayed else ("", "")
    return BulkUndone(len(items) - len(stayed), len(stayed), title, because)


def _counted(changes: int) -> str:
    return f"{changes} change{'s' * (changes != 1)}"


def _because(problem: ApiProblem) -> str:
    files: list[str] = problem.members.get("files") or []
    if problem.code == "merge_conflict" and files:
        return f"conflicts in {', '.join(files)}"
    return _sentence(problem.detail)


def _sentence(words: str) -> str:
    return words.removesuffix(".")
