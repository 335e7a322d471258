"""A filter for an agent's log on a terminal: passes colors, removes other control sequences."""

from __future__ import annotations

import codecs
import re

from app.cli.output.terminal import ESCAPES
from app.domain.safe_text import reveal_hidden

# The possible start of a sequence whose end has not arrived yet.
_UNFINISHED = re.compile(
    "(?:\x1b(?:\\[[0-?]*[ -/]*|[\\]PX^_][^\x00-\x1f\x7f-\x9f]*\x1b?|[ -/]*)"
    "|\x9b[0-?]*[ -/]*|[\x90\x98\x9d-\x9f][^\x00-\x1f\x7f-\x9f]*|\r)\\Z"
)
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
        unfinished = _UNFINISHED.search(text, max(0, len(text) - _HELD_AT_MOST))
        cut = unfinished.start() if unfinished else len(text)
        self._held = text[cut:]
        return self._safe(text[:cut])

    def finish(self) -> str:
        """Return the remaining text and a reset of the colors."""
        rest = self._safe(self._held + self._decode(b"", True))
        self._held = ""
        return rest + ("\x1b[0m" if self._coloured else "")

    def _safe(self, text: str) -> str:
        lines = text.replace("\r\n", "\n").replace("\r", "\n")
        return reveal_hidden(ESCAPES.sub(self._keep, lines))

    def _keep(self, found: re.Match[str]) -> str:
        if not self._keep_colours or not found["sgr"]:
            return ""
        self._coloured = True
        return found[0]
