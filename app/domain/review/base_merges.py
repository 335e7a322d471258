"""The merge of a change's base with which a run begins that is to resolve its conflicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

# what a run's row holds until its launch has merged
TO_MERGE: dict[str, Any] = {}


@dataclass(frozen=True)
class BaseMerge:
    """A merge of the commit `theirs` of the base into the head `ours` of a change.

    `prepared` is a commit of both with the files as the agent finds them: those in `files` hold
    conflict markers that name the two commits.
    """

    base: str
    ours: str
    theirs: str
    prepared: str
    files: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        """Return it as a run's row holds it."""
        return asdict(self) | {"files": [*self.files]}


def read_merge(data: Mapping[str, Any] | None) -> BaseMerge | None:
    """Return the merge that a run's row holds, None before its launch or without one."""
    if not data:
        return None
    others = {name: value for name, value in data.items() if name != "files"}
    return BaseMerge(files=tuple(data["files"]), **others)
