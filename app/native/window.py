"""The opener's side of a window that runs in a separate process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from app.native.browser import open_signed_in

LIBRARIES = ("webview", "PySide6")
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
NOT_INSTALLED = "The window needs what `make native` installs (pywebview and PySide6)."
NO_DISPLAY = "There is no display here for a window."


CLOSE_SECONDS = 3.0
SHOWN = b"shown\n"
ICON = Path(__file__).resolve().parents[2] / "assets" / "icon.svg"
_ENTRY = Path(__file__).with_name("__main__.py")
_NOT_HANDED_ON = ("RUNYARD_", "PYTEST_", "NICEGUI_", "PYTHON")


def obstacle(
    environment: Mapping[str, str],
    is_installed: Callable[[str], object] = find_spec,
    platform: str = sys.platform,
) -> str | None:
    """Return why this environment allows no window, None if one can be tried."""
    if not all(is_installed(name) for name in LIBRARIES):
        return NOT_INSTALLED
    if platform.startswith("linux") and not any(environment.get(name) for name in DISPLAYS):
        return NO_DISPLAY
    return None


class Window:
    """A window onto a server; it closes when this process ends, however it ends.

    `folder` holds its place and log. `make_link` makes one-time login links, which must lead to the
    pages' own origin. If the page cannot be shown, the browser opens it instead, if `in_browser`.
    `closed` is printed when the user has closed the window.
    """

    def __init__(
        self,
        folder: Path,
        make_link: Callable[[], str],
        *,
        in_browser: bool,
        closed: str,
    ) -> None:
        self._folder = folder
        self._make_link = make_link
        self._in_browser = in_browser
        self._closed = closed
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ending = False
        self._over = threading.Event()

    def open(self) -> None:
        """Open the window, signed in by a link."""
        problem = obstacle(os.environ)
        if problem is None:
            try:
                self._process = self._start(self._make_link())
            except OSError as error:
                problem = f"The window could not be started ({error.strerror})."
        if self._process is None:
            self._give_up(str(problem))
            self._over.set()
        else:
            following = threading.Thread(target=self._follow, args=(self._process,), daemon=True)
            following.start()

    def wait(self) -> None:
        """Wait until the window is gone."""
        self._over.wait()

    def close(self) -> None:
        """Close the window; kill it if it does not end within CLOSE_SECONDS."""
        self._is_ending = True
        if self._process is None:
            return
        _let_go(self._process)
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._over.wait(CLOSE_SECONDS)

    def _start(self, link: str) -> subprocess.Popen[bytes]:
        environment = {n: v for n, v in os.environ.items() if not n.startswith(_NOT_HANDED_ON)}
        with open(self._log, "wb", opener=_open_privately) as log:
            process = subprocess.Popen(
                [sys.executable, "-I", "-X", "utf8", str(_ENTRY)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env=environment,
                # keep Ctrl-C from the window: we close it ourselves
                start_new_session=True,
            )
        _send(
            process,
            # not as arguments: every user of the machine can read those
            link=link,
            icon=str(ICON),
            place_file=str(self._folder / "window.json"),
        )
        return process

    @property
    def _log(self) -> Path:
        return self._folder / "window.log"

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        was_shown = SHOWN in (process.stdout or ())
        process.wait()
        try:
            if was_shown and not self._is_ending:
                print(self._closed, flush=True)
            elif not self._is_ending:
                self._give_up(f"The window did not open; {self._log} says why.")
        finally:
            self._over.set()

    def _give_up(self, problem: str) -> None:
        link = self._make_link()
        if self._in_browser:
            print(f"{problem} Opening the browser instead.", flush=True)
            if open_signed_in(self._folder, link):
                return
        print(f"{problem} Open this link once, within 5 minutes:\n\n  {link}\n", flush=True)


def _send(process: subprocess.Popen[bytes], **order: str) -> None:
    if process.stdin:
        # if it has ended already, its missing answer shows that
        with contextlib.suppress(OSError):
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """Close its stdin, which makes the window end."""
    if process.stdin:
        with contextlib.suppress(OSError):
            process.stdin.close()


def _open_privately(path: str, flags: int) -> int:
    # two windows may share a log
    return os.open(path, flags | os.O_APPEND, 0o600)
