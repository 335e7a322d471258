"""What libraries would bring along and a server never uses, left out while they are imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

# clients of socket.io, its message queues, a command line of httpx and NiceGUI's own windows: each
# is tried by a library that does without it, and together they were a fifth of a start
UNUSED = ("aiohttp", "requests", "redis", "rich", "httpx._main", "webview")


@contextmanager
def sparing() -> Iterator[None]:
    """Import inside, and libraries find none of these; who asks for one later gets it."""
    absent = [name for name in UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
