"""A temporary server: a fresh folder, a free port, and nothing left behind."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import app
from app.cli.client.connection import Refused, Server, Unreachable, connect

TERM_SECONDS = 3.0
KILL_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_PR_SET_CHILD_SUBREAPER = 36


START_SECONDS = 60.0
END_SECONDS = 20.0
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ASK_SECONDS = 0.1
_LOG_TAIL_BYTES = 2000
# The caller's settings are not the demo's; those of test runners and NiceGUI break a server.
_NOT_HANDED_ON = ("RUNYARD_", "PYTEST_", "NICEGUI_")


@contextmanager
def ending_orphans() -> Generator[None]:
    """End every process that was started below this one inside the block, orphans included.

    A pid cannot be reused too early: an ended process keeps it until this one collects it.
    """
    before = _processes_below(os.getpid())
    _adopt_orphans(True)
    try:
        yield
    finally:
        _end_all(lambda: _processes_below(os.getpid()) - before)
        _adopt_orphans(False)


def _processes_below(root: int) -> set[int]:
    """Return the pids of all descendants of a process, zombies included."""
    parents = {int(entry.name): _parent_of(entry) for entry in Path("/proc").glob("[0-9]*")}
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {root}


def _parent_of(entry: Path) -> int | None:
    try:
        # the name before it, in parentheses, may hold anything
        return int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return None  # it has ended


def _end_all(find: Callable[[], set[int]]) -> None:
    for number, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        give_up_at = time.monotonic() + seconds
        signalled: set[int] = set()
        # search again each time: a process that just ended may have started or left another
        while (found := find()) and time.monotonic() < give_up_at:
            for pid in found - signalled:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            signalled |= found
            _collect(found)
            time.sleep(_LOOK_SECONDS)


def _collect(pids: set[int]) -> None:
    for pid in pids:
        with suppress(ChildProcessError):  # not a child, or collected already
            os.waitpid(pid, os.WNOHANG)


def _adopt_orphans(wanted: bool) -> None:
    # without subreapers, children are found only while their parents live
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(wanted), 0, 0, 0)


@contextmanager
def borrow_server(*, keep: bool) -> Generator[tuple[Server, Path]]:
    """Start a server in a fresh folder; end it afterwards and remove the folder unless `keep`.

    Yields the server and its folder. Raises Refused if it does not start.
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
def signals_waiting() -> Generator[None]:
    """Defer the ending signals to the end of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def free_port() -> int:
    """Return a loopback port that is free right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def _folder(*, keep: bool) -> Generator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="runyard-demo-"))
    try:
        yield folder
    finally:
        if not keep:
            with signals_waiting():
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _process(folder: Path) -> Generator[tuple[str, subprocess.Popen[bytes]]]:
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
            # Keep Ctrl-C from the server: we stop its runs first and then end it.
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
def _ending_on_signals() -> Generator[None]:
    """Turn the ending signals into a SystemExit inside the block."""
    before = {name: signal.signal(name, _leave) for name in ENDING_SIGNALS}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _leave(number: int, _frame: FrameType | None) -> None:
    # ignore repeated signals: the cleanup takes a bounded time
    for name in ENDING_SIGNALS:
        signal.signal(name, signal.SIG_IGN)
    raise SystemExit(128 + number)
