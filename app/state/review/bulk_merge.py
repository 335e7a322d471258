"""Merging several changes one by one, which stops at the first that cannot be merged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas.inbox import InboxItem

# somebody else has merged or closed it meanwhile
ENDED = "already_ended"


@dataclass(frozen=True)
class BulkEnd:
    """The end of a bulk merge; `title` and `because` say where and why it stopped, if it did."""

    merged: int
    left: int
    title: str = ""
    because: str = ""

    @property
    def sentence(self) -> str:
        """The words that a person is told at the end."""
        if not self.title:
            return f"Merged {self.merged} change{'s' * (self.merged != 1)}."
        where = f"Stopped at “{self.title}”: {self.because}."
        return f"{where} {self.merged} merged, {self.left} left."


async def merge_in_turn(
    items: Sequence[InboxItem], merge: Callable[[InboxItem], Awaitable[Any]]
) -> BulkEnd:
    """Merge changes in this order; those that somebody else has ended meanwhile are passed over."""
    merged = 0
    for place, item in enumerate(items):
        try:
            await merge(item)
        except ApiProblem as problem:
            if problem.code == ENDED:
                continue
            return BulkEnd(merged, len(items) - place, item.title, _because(problem))
        except NoAnswer as problem:
            return BulkEnd(merged, len(items) - place, item.title, _sentence(str(problem)))
        else:
            merged += 1
    return BulkEnd(merged, 0)


def _because(problem: ApiProblem) -> str:
    files: list[str] = problem.members.get("files") or []
    if problem.code == "merge_conflict" and files:
        return f"conflicts in {', '.join(files)}"
    return _sentence(problem.detail)


def _sentence(words: str) -> str:
    return words.removesuffix(".")
