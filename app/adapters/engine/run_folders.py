"""The folders that supervisors and agents have filled: weighed and deleted, never believed."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from app.adapters.git_folders import measure, remove_tree
from app.adapters.git_places import checked_id
from app.services.ports.run_folders import RunFolder

_LATEST = datetime.max.replace(tzinfo=UTC).timestamp() - 1


class LocalRunFolders:
    """The folders directly below `root`, one a run."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._weighed: dict[str, tuple[int, int]] = {}

    def all(self) -> list[RunFolder]:
        """Each run's folder, in no order. Raises OSError."""
        before, self._weighed = self._weighed, {}
        with os.scandir(self._root) as entries:
            folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
        return [self._weigh(entry, before.get(entry.name)) for entry in folders]

    def remove(self, run_id: str) -> None:
        """Delete a run's folder, links not followed. Raises OSError."""
        remove_tree(self._root, checked_id(run_id))

    def _weigh(self, entry: os.DirEntry[str], before: tuple[int, int] | None) -> RunFolder:
        """Its bytes as they were known, unless something in it was made or ended since.

        A log grows without that, until its run's end is written beside it.
        """
        facts = entry.stat(follow_symlinks=False)
        is_same = before is not None and before[0] == facts.st_ctime_ns
        size = before[1] if before and is_same else measure(Path(entry.path))
        self._weighed[entry.name] = (facts.st_ctime_ns, size)
        # an agent may have set its folder's time to anything
        seconds = min(max(0.0, facts.st_mtime), _LATEST)
        return RunFolder(entry.name, datetime.fromtimestamp(seconds, UTC), size)
