"""Send Socket.IO messages without a search for binary data.

Replaces: `packet_class` of NiceGUI's Socket.IO server.
Why: NiceGUI sends text only, but every message is searched for bytes, element by element.
Gain: one walk through each message to a page; the bytes sent are the same.
Tested: python-socketio>=5.18,<5.19
"""

# stands alone: one module for each patch

from __future__ import annotations

from nicegui import core
from socketio.packet import Packet


class TextPacket(Packet):
    """A Socket.IO packet without binary data."""

    uses_binary_events = False


def send_text_packets() -> None:
    """Put the patch in; safe to call twice."""
    core.sio.packet_class = TextPacket
