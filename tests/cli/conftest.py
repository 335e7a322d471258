"""Shells for tests of the command line: with a recorded, a real or no server."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.cli.main import main
from tests.cli.live_shell import LiveShell, a_live_shell
from tests.cli.recorded_server import RecordedServer
from tests.cli.shells import Ended, Shell

TOKEN = "the-token-of-the-folder"


@pytest.fixture
def server() -> Iterator[RecordedServer]:
    """A recorded server on loopback."""
    with RecordedServer() as recorded:
        yield recorded


@pytest.fixture
def shell(tmp_path: Path, server: RecordedServer) -> Shell:
    """A shell whose data folder belongs to the recorded server."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "token").write_text(TOKEN + "\n")
    (folder / "server.json").write_text(json.dumps({"pid": os.getpid(), "url": server.url}))
    return Shell(folder)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveShell]:
    """A shell with a real server, one for all tests of this folder."""
    with a_live_shell(tmp_path_factory.mktemp("live")) as shell:
        yield shell


@pytest.fixture
def lonely_shell(tmp_path: Path) -> Shell:
    """A shell whose data folder is empty, and nobody listens."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return Shell(folder, {"RUNYARD_PORT": "1"})


@pytest.fixture
def here(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Runs a command of that shell in this process: many are slow as processes."""

    def run(*words: str) -> Ended:
        for name in ("RUNYARD_URL", "RUNYARD_TOKEN", "NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in shell.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.argv", ["runyard", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        told = capfd.readouterr()
        return Ended(int(left.value.code or 0), told.out, told.err)

    return run
