"""What stands in the way of a window, in a sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec

LIBRARIES = ("webview", "PySide6")
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
NOT_INSTALLED = "The window needs what `make native` installs (pywebview and PySide6)."
NO_DISPLAY = "There is no display here for a window."


def obstacle(
    surroundings: Mapping[str, str],
    is_installed: Callable[[str], object] = find_spec,
    platform: str = sys.platform,
) -> str | None:
    """Why no window can be opened in these surroundings, None where one can be tried."""
    if not all(is_installed(name) for name in LIBRARIES):
        return NOT_INSTALLED
    if platform.startswith("linux") and not any(surroundings.get(name) for name in DISPLAYS):
        return NO_DISPLAY
    return None
