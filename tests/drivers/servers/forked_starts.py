"""Program processes forked from a template process that has only done the imports.

Imports take nine tenths of a command's time and four fifths of a server's start; reading the
signatures of commands and routes takes half of what is left. Otherwise a fork is like any process:
arguments, environment, streams, signals, threads and exit codes. Tests about starting use no
forks: `is_fresh` servers, test_readme.py, test_every_command.py.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple

ROOT = Path(__file__).parents[3]
COMMAND, SERVER = "runyard", "main.py"
# set: each of a server's two stores refuses the other's rows (tests/drivers/store_guard.py)
GUARDED = "RUNYARD_TEST_GUARDED"
# set: a server's commits wait for the disk; otherwise they need not, as it is killed but keeps its
# power
SYNCED = "RUNYARD_TEST_SYNCED"
# a server's imports, and the modules that it loads while it starts
LOADED_BY_A_SERVER = (
    *(
        "app.cli.main",
        "app.server.application",
        "shellingham",
        "nicegui.ui_run_with",
        "uvicorn.lifespan.on",
    ),
    *("uvicorn.loops.uvloop", "uvicorn.protocols.http.httptools_impl"),
    "uvicorn.protocols.websockets.wsproto_impl",
)
ROOM = 200_000  # bytes, for the arguments and the environment
FILES = 1 << 10
END_SECONDS = 20.0
Streams = tuple[int, int, int]
_asking = threading.Lock()


@dataclass
class ForkedProcess:
    """A process forked by the template, with the interface of `subprocess.Popen`."""

    pid: int
    told: IO[bytes]
    returncode: int | None = None

    def poll(self) -> int | None:
        """Return its exit code, or None while it lives."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait `timeout` seconds at most; return its exit code. Raises TimeoutExpired."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(["main.py"], timeout or 0)
        return code

    def send_signal(self, how: int) -> None:
        """Send it a signal if it is still alive."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended by now
                os.kill(self.pid, how)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self.told], [], [], timeout)[0]:
            said = self.told.read()
            self.told.close()
            assert said, "the process that was to wait for it has ended"
            self.returncode = int(said)
        return self.returncode


class Order(NamedTuple):
    """A request for a fork: its arguments, its environment, its three streams and its exit pipe."""

    words: list[str]
    env: dict[str, str]
    files: list[int]


def start_forked(
    program: str, words: list[str], env: dict[str, str], streams: Streams
) -> ForkedProcess:
    """Start the program in a fork, with these arguments, this environment and these streams."""
    told, end = os.pipe()
    body = json.dumps([words, env]).encode()
    assert len(body) < ROOM
    door = _template(program)
    try:
        with _asking:
            socket.send_fds(door, [body], [*streams, end])
            pid = int(door.recv(ROOM))
    finally:
        os.close(end)
    return ForkedProcess(pid, os.fdopen(told, "rb", 0))


def clean_environment() -> dict[str, str]:
    """Return the environment without PYTEST_* (NiceGUI would not serve), NICEGUI_*, RUNYARD_*."""
    ours = ("PYTEST_", "NICEGUI_", "RUNYARD_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept


@cache
def _template(program: str) -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.drivers.servers.forked_starts",
                program,
                str(theirs.fileno()),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            env=clean_environment(),
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait(END_SECONDS)

    atexit.register(end)
    return ours


# --- the template process ------------------------------------------------------------------------


def load(program: str) -> None:
    """Import the program's modules, so that forks need not."""
    gc.disable()
    read_commands_once()
    if program == SERVER:
        imports = importlib.import_module("app.server.patches.unused_imports")
        with imports.hiding(*imports.UNUSED):
            for name in LOADED_BY_A_SERVER:
                importlib.import_module(name)
        main = importlib.import_module("app.cli.main")
        main.get_command(main.build())
        read_routes_once()
        _rehearse_a_server()
    else:
        _rehearse()
    gc.enable()
    gc.freeze()  # keep the collector from writing to pages shared with the forks
    assert len(os.listdir("/proc/self/task")) == 1, "a fork has one thread of several"


@cache
def read_commands_once() -> None:
    """Make Typer read the parameters of a command only for the first command line."""
    typer_main: Any = importlib.import_module("typer.main")
    read = typer_main.get_params_from_function
    typer_main.get_params_from_function = cache(read)


class Carried:
    """Stands for the services while routes are built: a route keeps them for its calls."""

    def __getattr__(self, name: str) -> Carried:
        """Return what a route may keep instead."""
        return self

    def __call__(self, *_: Any, **__: Any) -> Carried:
        return self


def read_routes_once() -> None:
    """Build every route once, so that no fork has to read the parameters of routes."""
    importlib.import_module("tests.drivers.compiled_once").share_parameters()
    program: Any = importlib.import_module("app.server.application")
    services: Any = Carried()
    site: Any = importlib.import_module("app.api.http.site").Site(0)
    program.build_api(services, services, site=site, store_silent=program.DatabaseSilent)
    program.system.open_routes(services)
    program.sign_in.routes(services, services, site=site, command="")
    program.forms.routes(services, services)


def _rehearse_a_server() -> None:
    """Start a server's inner part on an empty folder, so that no fork compiles its statements."""
    importlib.import_module("app.logs").route_events()
    importlib.import_module("tests.drivers.compiled_once").share_compiled_statements()
    program: Any = importlib.import_module("app.server.application")
    with tempfile.TemporaryDirectory() as folder:
        settings = importlib.import_module("app.config").Settings(data_dir=Path(folder))
        plane = program.ControlPlane(settings)
        plane.start()
        plane.begin()
        plane.workers.finish(END_SECONDS)
        plane.services.accounts.make_link_token(plane.clock())
        plane.services.sweep.tick_once(plane.clock())
        plane.stop()
    _end_threads()


def _end_threads() -> None:
    """Wait until every other thread has ended, for the kernel as well: it is later than `join`."""
    deadline = time.monotonic() + END_SECONDS
    while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < deadline:
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                thread.join(END_SECONDS)
        time.sleep(0.01)


def _rehearse() -> None:
    """Run a command that finds no server, to load the modules that commands import lazily."""
    nothing = {"RUNYARD_DATA_DIR": os.devnull, "RUNYARD_PORT": "1"}
    look_like_new(COMMAND, ["runs", "list"], os.environ | nothing)
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stderr(nowhere),
        contextlib.suppress(SystemExit),
    ):
        run(COMMAND)


def next_order(door: socket.socket) -> Order | None:
    """Fork for each order; return the order in each fork, and None once the socket is closed."""
    living: dict[int, tuple[int, int]] = {}
    while True:
        ready = select.select([door.fileno(), *living], [], [])[0]
        for watched in living.keys() & set(ready):
            _tell_end(watched, *living.pop(watched))
        if door.fileno() not in ready:
            continue
        order = _read(door)
        if order is None:
            for watched, (pid, told) in living.items():
                os.kill(pid, signal.SIGKILL)
                _tell_end(watched, pid, told)
            return None
        pid = os.fork()
        if pid == 0:
            return order
        *streams, told = order.files
        for stream in streams:
            os.close(stream)
        living[os.pidfd_open(pid)] = (pid, told)
        door.send(str(pid).encode())


def _read(door: socket.socket) -> Order | None:
    body, files, _, _ = socket.recv_fds(door, ROOM, 4)
    if not body:
        return None
    words, env = json.loads(body)
    return Order(words, env, files)


def _tell_end(watched: int, pid: int, told: int) -> None:
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):  # the process that asked has ended
        os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
    os.close(told)
    os.close(watched)


def become(program: str, order: Order) -> None:
    """Turn this fork into the ordered process; only the template's imports remain."""
    for number, stream in enumerate(order.files[:3]):
        os.dup2(stream, number)
    os.closerange(3, FILES)
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    look_like_new(program, order.words, order.env)
    if program == SERVER and SYNCED not in order.env:
        importlib.import_module("tests.drivers.spared_disk").spare_the_disk()
    if GUARDED in order.env:
        importlib.import_module("tests.drivers.store_guard").guard_stores()
    try:
        run(program)
    except SystemExit as end:
        if not isinstance(end.code, str):
            end_at_once(int(end.code or 0))
        raise
    end_at_once(0)


def end_at_once(code: int) -> None:
    """End as Python does, but leave the memory to the system: to clear it copies what forks share.

    If an output cannot be flushed, do nothing: the usual end says so.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def look_like_new(program: str, words: list[str], env: Any) -> None:
    """Set arguments, environment and streams as if Python had been started with them."""
    given = dict(env)
    os.environ.clear()
    os.environ.update(given)
    time.tzset()
    sys.argv = [program, *words]
    encoding = given.get("PYTHONIOENCODING")
    sys.stdin = os.fdopen(0, encoding=encoding, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding=encoding, closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding, "backslashreplace", closefd=False)


def run(program: str) -> None:
    """Run the program as its entry point does, or the code after `-c` among its imports."""
    if sys.argv[1:2] == ["-c"]:
        code = sys.argv[2]
        sys.argv = ["-c", *sys.argv[3:]]
        exec(code, {"__name__": "__main__"})  # noqa: S102
        return
    seams = {}
    if program == SERVER:
        entry = importlib.import_module("tests.drivers.servers.entry")
        entry.take_points_on_signal(os.environ)
        seams = entry.seams_of(os.environ)
    importlib.import_module("app.cli.main").main(seams)


def wait_for_orders(program: str, door: socket.socket) -> None:
    """Load the program and serve orders; each fork becomes the program."""
    # Ignore signals sent to the process group: the template ends, with its forks, when its
    # socket closes.
    for how in (signal.SIGINT, signal.SIGTERM):
        signal.signal(how, signal.SIG_IGN)
    load(program)
    order = next_order(door)
    if order is not None:
        door.detach()
        become(program, order)


if __name__ == "__main__":
    wait_for_orders(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
