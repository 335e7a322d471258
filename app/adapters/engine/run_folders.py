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

    def all(self) -> list[RunFolder]:
        """Each run's folder, in no order. Raises OSError."""
        with os.scandir(self._root) as entries:
            return [_weigh(entry) for entry in entries if entry.is_dir(follow_symlinks=False)]

    def remove(self, run_id: str) -> None:
        """Delete a run's folder, links not followed. Raises OSError."""
        remove_tree(self._root, checked_id(run_id))


def _weigh(entry: os.DirEntry[str]) -> RunFolder:
    # an agent may have set its folder's time to anything
    seconds = min(max(0.0, entry.stat(follow_symlinks=False).st_mtime), _LATEST)
    return RunFolder(entry.name, datetime.fromtimestamp(seconds, UTC), measure(Path(entry.path)))
