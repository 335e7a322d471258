"""Shells for CLI tests: with a recorded server, a real one, or none."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.main import main
from tests.drivers.cli.live_shell import LiveShell, a_live_shell
from tests.drivers.cli.shells import Ended, Here, Shell
from tests.drivers.servers.forked_starts import read_commands_once
from tests.fakes.recorded_server import RecordedServer

KEEP_LOCKS = """
import fcntl, sys
held = []
for line in sys.stdin:
    held.append(open(line.rstrip("\\n"), "w"))
    fcntl.lockf(held[-1], fcntl.LOCK_EX)
    print("held", flush=True)
"""
TOKEN = "the-token-of-the-folder"


@pytest.fixture
def server() -> Iterator[RecordedServer]:
    """A recorded server on loopback."""
    with RecordedServer() as recorded:
        yield recorded


class LockKeeper:
    """A process that holds data folders' locks, as their servers would."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", KEEP_LOCKS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid

    def hold(self, folder: Path) -> None:
        """Lock a folder until `end`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(folder / "lock", file=self._process.stdin, flush=True)
        assert self._process.stdout.readline() == "held\n"

    def end(self) -> None:
        """Release all locks."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="session")
def keeper() -> Iterator[LockKeeper]:
    """The process that holds the data folder locks for recorded servers."""
    keeper = LockKeeper()
    yield keeper
    keeper.end()


@pytest.fixture
def shell(tmp_path: Path, server: RecordedServer, keeper: LockKeeper) -> Shell:
    """A shell whose data folder belongs to the recorded server."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "token").write_text(TOKEN + "\n")
    (folder / "server.json").write_text(json.dumps({"pid": keeper.pid, "url": server.url}))
    keeper.hold(folder)
    return Shell(folder)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveShell]:
    """A shell with a real server, shared by the tests of a file."""
    with a_live_shell(tmp_path_factory.mktemp("live")) as shell:
        yield shell


@pytest.fixture
def lonely_shell(tmp_path: Path) -> Shell:
    """A shell with an empty data folder and no server."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return Shell(folder, {"RUNYARD_PORT": "1"})


@pytest.fixture
def here(shell: Shell, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """Run the shell's commands in this process; a process for each would be slow."""
    read_commands_once()

    def run(*words: str, stdin: str = "") -> Ended:
        for name in ("RUNYARD_URL", "RUNYARD_TOKEN", "NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in shell.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.argv", ["runyard", *words])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        told = capfd.readouterr()
        return Ended(int(left.value.code or 0), told.out, told.err)

    return run
