"""Whole lines from output in pieces of any size, with bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

# longer lines hold a tool's whole output, never anything that is counted here
MAX_LINE_BYTES = 4 * 1024 * 1024


class Lines:
    """Splits bytes into lines; skips each line that is too long."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._is_too_long = False

    def split(self, data: bytes) -> Iterator[bytes]:
        """Yield every line that ends within `data`, without its newline."""
        begin = 0
        while (end := data.find(b"\n", begin)) >= 0:
            self._hold(data[begin:end])
            yield from self.rest()
            begin = end + 1
        self._hold(data[begin:])

    def rest(self) -> Iterator[bytes]:
        """Yield the unfinished line, if there is one."""
        if self._held:
            yield bytes(self._held)
        self._held.clear()
        self._is_too_long = False

    def _hold(self, part: bytes) -> None:
        if self._is_too_long or len(self._held) + len(part) > MAX_LINE_BYTES:
            self._is_too_long = True
            self._held.clear()
        else:
            self._held += part
