"""Gates: places where another process waits until the test lets it pass."""

from __future__ import annotations

import os
from pathlib import Path


class Gate:
    """One place; each passing needs an arrival and an opening."""

    def __init__(self, folder: Path) -> None:
        self._arrived, self._go_on = folder / "arrived", folder / "go-on"
        for fifo in (self._arrived, self._go_on):
            os.mkfifo(fifo)

    @property
    def wait(self) -> str:
        """The line of shell that waits."""
        return f"echo > '{self._arrived}'; read line < '{self._go_on}'"

    def await_arrival(self) -> None:
        """Return when somebody waits."""
        self._arrived.read_text()

    def open(self) -> None:
        """Let it pass."""
        self._go_on.write_text("go\n")
