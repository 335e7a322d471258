"""A server of one's own for a while: a fresh folder, a free port, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import app
from app.cli.connection import Refused, Server, Unreachable, connect
from app.cli.orphans import ending_orphans

START_SECONDS = 60.0
END_SECONDS = 20.0
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ASK_SECONDS = 0.1
_LOG_TAIL_BYTES = 2000
# Settings of the caller are not the demo's; test runners' and NiceGUI's make servers refuse.
_NOT_HANDED_ON = ("RUNYARD_", "PYTEST_", "NICEGUI_")


@contextmanager
def borrow_server(*, keep: bool) -> Iterator[tuple[Server, Path]]:
    """A running server and its folder; ended afterwards, and removed unless `keep`.

    Raises Refused when it does not start.
    """
    with (
        _ending_on_signals(),
        _folder(keep=keep) as folder,
        ending_orphans(),
        _process(folder) as (url, process),
    ):
        server = _wait_until_ready(url, folder, process)
        try:
            yield server, folder
        finally:
            server.http.close()


@contextmanager
def signals_waiting() -> Iterator[None]:
    """Let what would end us wait until the end of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def free_port() -> int:
    """A loopback port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="runyard-demo-"))
    try:
        yield folder
    finally:
        if not keep:
            with signals_waiting():
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _process(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    port, root = free_port(), Path(app.__file__).resolve().parent.parent
    main = root / "main.py"
    entry = [str(main)] if main.is_file() else ["-m", "app.cli.main"]
    words = ["serve", "--no-open", "--data-dir", str(folder), "--port", str(port)]
    env = {name: v for name, v in os.environ.items() if not name.upper().startswith(_NOT_HANDED_ON)}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *entry, *words],
            cwd=root,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for us alone: the server is ended when its run has been stopped.
            start_new_session=True,
        )
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_ready(url: str, folder: Path, process: subprocess.Popen[bytes]) -> Server:
    stranger = Server(url, None)
    give_up_at = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < give_up_at:
        if _is_ready(stranger):
            stranger.http.close()
            return connect(folder)
        time.sleep(_ASK_SECONDS)
    with (folder / "server.log").open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
        tail = log.read().decode("utf-8", "replace")
    raise Refused(f"The demo's server did not start.\n{tail}".rstrip())


def _is_ready(server: Server) -> bool:
    try:
        return server.is_ready()
    except Unreachable:
        return False


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Turn the signals that end a program into an orderly end."""
    before = {name: signal.signal(name, _leave) for name in ENDING_SIGNALS}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _leave(number: int, _frame: FrameType | None) -> None:
    # asked twice is asked once: what is to be ended is ended in a bounded time
    for name in ENDING_SIGNALS:
        signal.signal(name, signal.SIG_IGN)
    raise SystemExit(128 + number)
