"""A filter for an agent's log on a terminal: passes colors, removes other control sequences."""

from __future__ import annotations

import codecs

from app.domain.safe_text import reveal_hidden
from app.domain.text.ansi import RESET, strip, unfinished_at

_HELD_AT_MOST = 8192


class LogFilter:
    """Turns pieces of a log, cut anywhere, into text that is safe to show."""

    def __init__(self, *, keep_colours: bool) -> None:
        self._keep_colours = keep_colours
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._held = ""
        self._coloured = False

    def feed(self, piece: bytes) -> str:
        """Return the safe text of a piece; an unfinished sequence waits for the next piece."""
        text = self._held + self._decode(piece)
        # An endless sequence is no sequence: output must not stay hidden behind it.
        cut = unfinished_at(text, max(0, len(text) - _HELD_AT_MOST))
        self._held = text[cut:]
        return self._safe(text[:cut])

    def finish(self) -> str:
        """Return the remaining text and a reset of the colors."""
        rest = self._safe(self._held + self._decode(b"", True))
        self._held = ""
        return rest + (RESET if self._coloured else "")

    def _safe(self, text: str) -> str:
        lines = text.replace("\r\n", "\n").replace("\r", "\n")
        safe = strip(lines, keep_colors=self._keep_colours)
        # the only sequences left are those of colors
        self._coloured = self._coloured or "\x1b" in safe
        return reveal_hidden(safe)
