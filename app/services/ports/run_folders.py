"""What the services ask of the folders that runs have left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class RunFolder:
    """A run's records and log on disk: when it was last written to (UTC), and its bytes."""

    run_id: str
    written_at: datetime
    bytes: int


class RunFolders(Protocol):
    """The folders of all runs on this machine."""

    def all(self) -> list[RunFolder]:
        """Each run's folder, in no order; the longer the more are kept. Raises OSError."""
        ...

    def remove(self, run_id: str) -> None:
        """Delete a run's folder, links not followed. Raises OSError."""
        ...
