"""Let the server shut down while a page is just closing its websocket.

Replaces: `shutdown` of uvicorn's `WSProtocol`, by a subclass.
Why: it sends a close frame on a socket that is closed already, and wsproto raises an error.
Gain: none in speed; the shutdown ends in order, without a traceback.
Tested: uvicorn>=0.54,<0.55 wsproto>=1.3,<1.4
"""

# stands alone: one module for each patch

from __future__ import annotations

from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.utilities import LocalProtocolError


class PageSocket(WSProtocol):
    """A page's websocket that also shuts down cleanly if the page has just closed it."""

    def shutdown(self) -> None:
        """Close the socket: the server is shutting down."""
        try:
            super().shutdown()
        except LocalProtocolError:
            self.transport.close()
