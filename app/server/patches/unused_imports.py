"""Import libraries without the optional ones that they try to import and we never use.

Replaces: modules in `sys.modules`, by None while others are imported.
Why: socket.io's clients and message queues, httpx's command line and NiceGUI's own windows are
optional: their libraries catch the ImportError.
Gain: a fifth of a server's start, a third of loading httpx in each command.
Tested: nicegui>=3.18,<3.19 httpx>=0.28,<0.29 python-socketio>=5.18,<5.19
"""

# stands alone: one module for each patch

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

UNUSED = ("aiohttp", "requests", "redis", "rich", "httpx._main", "webview")


@contextmanager
def hiding(*names: str) -> Generator[None]:
    """Hide these modules from imports inside the block; later imports find them again."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)
