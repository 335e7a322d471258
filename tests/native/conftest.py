"""Fixtures for the desktop window: a display, a browser that only records, a server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.native.window import obstacle
from tests.drivers.servers.forked_starts import (
    SERVER,
    ForkedProcess,
    clean_environment,
    start_forked,
)
from tests.drivers.servers.processes import RunyardServer, free_port
from tests.native.devtools import Devtools
from tests.native.displays import Display, missing_programs, running_display
from tests.native.patience import until

COMMAND_SECONDS = 60


@dataclass
class Joined:
    """A command that has opened a window onto a running server, or has tried to."""

    process: ForkedProcess
    folder: Path

    def kill(self) -> None:
        """Kill it without warning."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(COMMAND_SECONDS)

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; return its exit code, its output and its complaints."""
        code = self.process.wait(COMMAND_SECONDS)
        return code, (self.folder / "out").read_text(), (self.folder / "err").read_text()


@dataclass
class Desktop:
    """A person's desktop: its display, and the addresses opened in the system's browser."""

    display: Display
    folder: Path
    devtools_port: int

    @property
    def settings(self) -> dict[str, str]:
        """Environment variables for programs on this desktop."""
        return {
            "DISPLAY": self.display.name,
            "BROWSER": str(self.folder / "browser"),
            "HOME": str(self.folder),
            "QTWEBENGINE_REMOTE_DEBUGGING": str(self.devtools_port),
        }

    @property
    def page(self) -> Devtools:
        """The page in the window."""
        return Devtools(self.devtools_port)

    def browsed(self) -> list[str]:
        """Return the addresses that the system's browser was asked for."""
        file = self.folder / "browsed"
        return file.read_text().splitlines() if file.exists() else []

    def window(self) -> int:
        """Return the only window, once its page has loaded."""
        found = until(self.display.windows)
        assert len(found) == 1
        self.page.wait_for("document.readyState == 'complete' && !!window.did_handshake")
        return found[0]

    def serve(self, data_dir: Path, **changed: str) -> Joined:
        """Run `runyard serve --native` on the data folder of a running server."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        with (
            open(os.devnull) as nothing,
            (folder / "out").open("w") as out,
            (folder / "err").open("w") as err,
        ):
            process = start_forked(
                SERVER,
                ["serve", "--native", "--data-dir", str(data_dir)],
                clean_environment() | self.settings | changed,
                (nothing.fileno(), out.fileno(), err.fileno()),
            )
        return Joined(process, folder)


@pytest.fixture(scope="module")
def desktop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    """A desktop for the tests of a file; skips them if programs or libraries are missing."""
    missing = ", ".join(missing_programs()) or obstacle({"DISPLAY": ":0"})
    if missing:
        pytest.skip(f"the desktop window is not tested: {missing}")
    folder = tmp_path_factory.mktemp("desktop")
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >>"{folder}/browsed"\n')
    browser.chmod(0o700)
    with running_display(folder) as display:
        _skip_without_libraries(display)
        yield Desktop(display, folder, free_port())


def _skip_without_libraries(display: Display) -> None:
    qt = "import PySide6.QtWebEngineWidgets, PySide6.QtWidgets as w; w.QApplication([])"
    environment = {**os.environ, "DISPLAY": display.name}
    tried = subprocess.run(
        [sys.executable, "-c", qt], env=environment, capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"the desktop window is not tested, Qt does not start: {tried.stderr[-500:]}")


@pytest.fixture(scope="module")
def yard(desktop: Desktop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunyardServer]:
    """A server started with a window."""
    server = RunyardServer(
        tmp_path_factory.mktemp("data"),
        desktop.settings,
        options=("--native",),
    ).start()
    yield server
    server.stop()
