"""The command line as people use it: a process of its own, with or without a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 20


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be JSON and nothing else."""
        return json.loads(self.out)


@dataclass
class Shell:
    """Runs the command line in a process of its own, with an environment of its own."""

    folder: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """Nothing of the caller's settings, and this test's data folder."""
        ours = ("RUNYARD_", "PYTEST_", "NICEGUI_", "NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS")
        env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        env |= {"RUNYARD_DATA_DIR": str(self.folder), "TERM": "xterm", "HOME": str(self.folder)}
        return env | self.extra

    def argv(self, *words: str) -> list[str]:
        """The command line's own argv."""
        return [sys.executable, "-m", "app.cli.main", *words]

    def run(self, *words: str, stdin: str = "", seconds: float = DEADLINE_SECONDS) -> Ended:
        """Run a command without a terminal."""
        done = subprocess.run(
            self.argv(*words),
            cwd=ROOT,
            env=self.env,
            input=stdin.encode(),
            capture_output=True,
            timeout=seconds,
            check=False,
        )
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    def run_on_a_terminal(self, *words: str, columns: int = 160) -> Ended:
        """Run a command with standard output and error on one terminal."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            self.argv(*words),
            cwd=ROOT,
            env=self.env | {"COLUMNS": str(columns)},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # the end of a terminal is an error on Linux
            while piece := os.read(ours, 65536):
                seen += piece
        os.close(ours)
        code = process.wait(DEADLINE_SECONDS)
        return Ended(code, seen.decode("utf-8", "replace").replace("\r\n", "\n"), "")
