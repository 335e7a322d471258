"""Choice of the Chromium to drive, and its flags."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserType, ViewportSize

FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # one for all pages: a sixth less CPU than one each
    "--renderer-process-limit=1",
)
WIDE: ViewportSize = {"width": 1280, "height": 800}


def launch_arguments(browser_type: BrowserType) -> dict[str, Any]:
    """Return the path and flags of Playwright's browser, else $CHROMIUM_PATH, else the system's.

    Debian's chromium-headless-shell is preferred to chromium: same engine, a fifth less CPU. Raises
    FileNotFoundError if there is none.
    """
    managed, named = Path(browser_type.executable_path), os.environ.get("CHROMIUM_PATH", "")
    of_system = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    path = str(managed) if managed.is_file() else named or of_system
    if not path or not Path(path).is_file():
        raise FileNotFoundError(
            "NO CHROMIUM: run `playwright install chromium`, install the system's, "
            "or set CHROMIUM_PATH."
        )
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    return {"executable_path": path, "args": flags}
