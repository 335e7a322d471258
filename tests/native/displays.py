"""A private X display for tests: an Xvfb, its pixels, its windows, its keyboard."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.native.patience import comes_soon, until

PROGRAMS = ("Xvfb", "xdotool")
_SIZE = "1400x1000x24"
_HEADER = struct.Struct(">25I")  # XWD, version 7
_COLOR_BYTES = 12

Pixel = tuple[int, int, int]


def missing_programs() -> list[str]:
    """Return the required programs that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


@dataclass(frozen=True)
class Display:
    """An X display; `name` is the value of DISPLAY."""

    name: str
    frame_file: Path

    def windows(self) -> list[int]:
        """Return the ids of visible windows titled Runyard."""
        said = self._ask("search", "--onlyvisible", "--name", "^Runyard$")
        return [int(line) for line in said.split()]

    def place_of(self, window: int) -> tuple[int, int, int, int]:
        """Return the window's left, top, width and height in pixels."""
        lines = self._ask("getwindowgeometry", "--shell", str(window)).splitlines()
        place = dict(line.split("=") for line in lines)
        return (int(place["X"]), int(place["Y"]), int(place["WIDTH"]), int(place["HEIGHT"]))

    def move(self, window: int, x: int, y: int, width: int, height: int) -> None:
        """Move and resize a window, as a window manager would."""
        self._ask("windowsize", str(window), str(width), str(height))
        self._ask("windowmove", str(window), str(x), str(y))

    def press(self, window: int, keys: str) -> None:
        """Press keys in a window."""
        self._focus(window)
        self._ask("key", keys)

    def write(self, dialog: int, words: str) -> None:
        """Type text and Return into a dialog, again until it closes."""

        def is_taken() -> bool:
            if not self._shows(dialog):
                return True
            # a new dialog may lose the first keys, or the focus
            self._focus(dialog)
            if self._ask("getwindowfocus").strip() == str(dialog):
                self._ask("key", "ctrl+a")
                self._ask("type", "--delay", "2", words)
                self._ask("key", "Return")
            return comes_soon(lambda: not self._shows(dialog))

        until(is_taken)

    def dialog(self, title: str) -> int:
        """Wait for a dialog with this title; return its window id."""
        found = until(lambda: self._ask("search", "--onlyvisible", "--name", f"^{title}$"))
        return int(found.split()[0])

    def colors(self) -> dict[Pixel, int]:
        """Count the display's colors in a sample of its pixels."""
        raw = self.frame_file.read_bytes()
        head = _HEADER.unpack_from(raw)
        header_bytes, height, line_bytes, colors = head[0], head[5], head[12], head[19]
        start = header_bytes + colors * _COLOR_BYTES
        pixels = memoryview(raw)[start : start + height * line_bytes].cast("I")
        found: Counter[Pixel] = Counter()
        for pixel, count in Counter(pixels[::7]).items():  # every seventh pixel is enough
            # an unused byte, red, green, blue
            found[pixel >> 16 & 255, pixel >> 8 & 255, pixel & 255] += count
        return found

    def _shows(self, window: int) -> bool:
        return str(window) in self._ask("search", "--onlyvisible", "--name", ".").split()

    def _focus(self, window: int) -> None:
        self._ask("windowfocus", "--sync", str(window))

    def _ask(self, *words: str) -> str:
        done = subprocess.run(
            ["xdotool", *words],
            env={**os.environ, "DISPLAY": self.name},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.stdout


@contextmanager
def running_display(folder: Path) -> Iterator[Display]:
    """Start an Xvfb on a free display number; terminate it at the end."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [
            *("Xvfb", "-displayfd", str(writing), "-screen", "0", _SIZE),
            *("-fbdir", str(folder), "-nolisten", "tcp", "-noreset"),
        ],
        pass_fds=[writing],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as line:
            number = line.readline().strip()
        assert number, "Xvfb did not start"
        yield Display(f":{number}", folder / "Xvfb_screen0")
    finally:
        process.terminate()
        process.wait()
