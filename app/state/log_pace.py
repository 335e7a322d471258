"""How fast a page draws a log: as fast as it grows, and a flood no faster than anybody reads."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

# so many lines may come at once, as a tool's output does, and so many each second after that
AT_ONCE = 3_000
A_SECOND = 300
# what a longer line counts as several of
LINE_CHARS = 100
# of a flood, no more than its last lines are read and shown, and not without a pause
FLOOD_BYTES = 32 * 1024
FLOOD_LINES = A_SECOND
PAUSE_SECONDS = 1.0


class LogPace:
    """Counts the lines that one page draws of a log; `seconds` is a clock.

    `is_flooded` after too many of them, until there is room for half of `AT_ONCE` again.
    """

    def __init__(self, seconds: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._room = float(AT_ONCE)
        self._at = seconds()
        self.is_flooded = False

    def draw(self, lines: int, chars: int) -> None:
        """So many lines with so many characters are drawn now."""
        lines = max(lines, chars // LINE_CHARS)
        now = self._seconds()
        room = min(AT_ONCE, self._room + (now - self._at) * A_SECOND)
        # what was drawn beyond it is not held against what follows
        self._room, self._at = max(0.0, room - lines), now
        self.is_flooded = self._room < (AT_ONCE / 2 if self.is_flooded else A_SECOND)
