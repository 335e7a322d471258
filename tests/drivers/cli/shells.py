"""The command line as users run it: as a process, with or without a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from tests.drivers.servers.forked_starts import COMMAND, ROOT, SERVER, Streams, start_forked

DEADLINE_SECONDS = 60
# these open the data folder themselves: they need what a server has imported
LIKE_A_SERVER = {
    "-c",
    *("audit", "backup", "doctor", "login-link", "logout", "restore", "serve", "token"),
}


@dataclass
class Ended:
    """The result of a command: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output parsed as JSON; fails if it holds anything else."""
        return json.loads(self.out)


# runs a shell's commands in this process: the fixture `here`
Here = Callable[..., Ended]


@dataclass
class Shell:
    """A shell that runs commands as processes, with an isolated environment.

    With `is_fresh` Python is started for each command; otherwise the command is forked from a
    process that has already imported everything.
    """

    folder: Path
    extra: dict[str, str] = field(default_factory=dict)
    is_fresh: bool = False

    @property
    def env(self) -> dict[str, str]:
        """The environment: no settings of the caller's, and this test's data folder."""
        ours = ("RUNYARD_", "PYTEST_", "NICEGUI_", "NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS")
        env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        env |= {"RUNYARD_DATA_DIR": str(self.folder), "TERM": "xterm", "HOME": str(self.folder)}
        return env | self.extra

    def argv(self, *words: str) -> list[str]:
        """Return the argv of a command."""
        return [sys.executable, "-m", "app.cli.main", *words]

    def run(self, *words: str, stdin: str = "", seconds: float = DEADLINE_SECONDS) -> Ended:
        """Run a command without a terminal."""
        with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
            given.write(stdin.encode())
            given.seek(0)
            streams = (given.fileno(), out.fileno(), err.fileno())
            code = self._end_of(words, self.env, streams, seconds)
            out.seek(0)
            err.seek(0)
            return Ended(code, out.read().decode(), err.read().decode())

    def run_on_a_terminal(self, *words: str, columns: int = 160) -> Ended:
        """Run a command with standard output and error on one terminal."""
        ours, theirs = pty.openpty()
        env = self.env | {"COLUMNS": str(columns)}
        with open(os.devnull) as nothing, ThreadPoolExecutor(1) as reader:
            seen = reader.submit(_read_to_the_end, ours)
            try:
                streams = (nothing.fileno(), theirs, theirs)
                code = self._end_of(words, env, streams, DEADLINE_SECONDS)
            finally:
                os.close(theirs)
            text = seen.result().decode("utf-8", "replace")
        os.close(ours)
        return Ended(code, text.replace("\r\n", "\n"), "")

    def _end_of(
        self, words: tuple[str, ...], env: dict[str, str], streams: Streams, seconds: float
    ) -> int:
        if not self.is_fresh:
            program = SERVER if words and words[0] in LIKE_A_SERVER else COMMAND
            process = start_forked(program, list(words), env, streams)
            try:
                return process.wait(seconds)
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait()
        stdin, stdout, stderr = streams
        return subprocess.run(
            self.argv(*words),
            cwd=ROOT,
            env=env,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            timeout=seconds,
            check=False,
        ).returncode


def _read_to_the_end(terminal: int) -> bytes:
    seen = b""
    with contextlib.suppress(OSError):  # reading past the end of a terminal raises OSError on Linux
        while piece := os.read(terminal, 65536):
            seen += piece
    return seen
