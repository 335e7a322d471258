"""The lock that keeps a second server from a data folder."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from app.config import Settings
from app.folder_locks import SERVER_LOCK
from app.server import startup
from app.server.startup import CannotStart, only_server

# holds both locks as a server does, until its input ends
SERVER = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(file, fcntl.LOCK_EX)
fcntl.lockf(file, fcntl.LOCK_EX)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@contextmanager
def lock_left_behind(file: Path) -> Iterator[Callable[[], None]]:
    """Let a child hold the lock that its parent took, as one between fork and exec does.

    The result ends the child.
    """
    lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    stay, end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        os.read(stay, 1)
        os._exit(0)
    os.close(lock)
    os.close(stay)
    with ExitStack() as until_end:
        until_end.callback(os.waitpid, child, 0)
        until_end.callback(os.close, end)
        yield until_end.close


def test_a_killed_server_whose_child_has_the_lock_for_a_moment_holds_nobody_up(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lock_left_behind(settings.data_root / SERVER_LOCK) as end:
        # the child ends when the new server waits for it
        monkeypatch.setattr(startup, "sleep", lambda _: end())
        with only_server(settings):
            pass


def test_a_second_server_is_refused_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "sleep", lambda _: pytest.fail("it waited"))
    argv = [sys.executable, "-c", SERVER, str(settings.data_root / SERVER_LOCK)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout
        assert server.stdout.readline() == b"ready\n"
        with pytest.raises(CannotStart, match="another Runyard"), only_server(settings):
            pass


def test_a_lock_that_stays_is_another_server_though_its_holder_is_not_known(
    settings: Settings,
) -> None:
    with (
        lock_left_behind(settings.data_root / SERVER_LOCK),
        pytest.raises(CannotStart, match="another Runyard"),
        only_server(settings),
    ):
        pass
