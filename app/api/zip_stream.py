"""A zip file made while it is sent: no more of it in memory than one piece."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime

Part = tuple[str, Iterable[bytes]]


class _Sent(io.RawIOBase):
    """Takes what is written and gives it away; positions only grow."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, piece: bytes) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._waiting += piece
        return len(piece)

    def take(self) -> bytes:
        """What was written since the last time."""
        piece = bytes(self._waiting)
        self._waiting.clear()
        return piece


def zip_pieces(parts: Iterable[Part], at: datetime) -> Iterator[bytes]:
    """The bytes of a zip file of these parts, in their order, all of one time (UTC)."""
    sent = _Sent()
    with zipfile.ZipFile(sent, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, pieces in parts:
            entry = zipfile.ZipInfo(name, max(at.timetuple()[:6], (1980, 1, 1, 0, 0, 0)))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            with archive.open(entry, "w", force_zip64=True) as opened:
                for piece in pieces:
                    opened.write(piece)
                    if ready := sent.take():
                        yield ready
    yield sent.take()
