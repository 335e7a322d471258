"""Output in pieces of any size, as whole lines; what is held back is bounded."""

from __future__ import annotations

from collections.abc import Iterator

# longer lines hold a tool's whole output, never what is counted here
MAX_LINE_BYTES = 4 * 1024 * 1024


class Lines:
    """Cuts bytes into lines; one that is too long is passed over, to its end."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._is_too_long = False

    def split(self, data: bytes) -> Iterator[bytes]:
        """Every line that ends within `data`, without its end."""
        begin = 0
        while (end := data.find(b"\n", begin)) >= 0:
            self._hold(data[begin:end])
            yield from self.rest()
            begin = end + 1
        self._hold(data[begin:])

    def rest(self) -> Iterator[bytes]:
        """The line that has begun and not ended, if there is one."""
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
