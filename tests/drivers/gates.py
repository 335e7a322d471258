"""Gates: another process waits at one until the test opens it."""

from __future__ import annotations

import os
from pathlib import Path


class Gate:
    """A gate for one process; each pass needs an arrival and an opening."""

    def __init__(self, folder: Path) -> None:
        self._arrived, self._go_on = folder / "arrived", folder / "go-on"
        for fifo in (self._arrived, self._go_on):
            os.mkfifo(fifo)

    @property
    def wait(self) -> str:
        """The line of shell that arrives at the gate and waits."""
        return f"echo > '{self._arrived}'; read line < '{self._go_on}'"

    def await_arrival(self) -> None:
        """Block until a process has arrived."""
        self._arrived.read_text()

    def open(self) -> None:
        """Let the waiting process pass."""
        self._go_on.write_text("go\n")
