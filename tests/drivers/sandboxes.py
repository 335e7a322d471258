"""Trials of agents in sandboxes: as root and as a plain user, by each means, at each level."""

from __future__ import annotations

import atexit
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.domain.sandbox.levels import Means, SandboxLevel

ROOT, PLAIN = "root", "a plain user"
USERS = (ROOT, PLAIN)
# the levels that each means offers
LEVELS_OF = {
    Means.BUBBLEWRAP: (SandboxLevel.CONTAINED, SandboxLevel.SANDBOXED),
    Means.NAMESPACES: (SandboxLevel.CONTAINED,),
}
WAYS = [
    *((means, level) for means, levels in LEVELS_OF.items() for level in levels),
    (None, SandboxLevel.NONE),
]
# a word in the environment of the servers of trials alone
CANARY = "canary-of-the-server"
_CHECKOUT = Path(__file__).resolve().parents[2]
_NOBODY = "nobody"
# the user's own processes must be able to run it: setpriv may read more than that user
_IS_USABLE = (
    "import os, sys; "
    "old = sys.version_info < (3, 11); "
    "sys.exit(old or not os.access(os.path.realpath(sys.executable), os.X_OK))"
)
_SYSTEM_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True)
class Tried:
    """The end of an agent and its output; `failed` says why it was not started.

    `limit` is the value of the limit that it met, `limits` names what enforced its limits, `groups`
    are the run's control groups that still exist. `is_untrue`: its records were changed.
    """

    code: int | None = None
    signal: int | None = None
    reason: str | None = None
    limit: int | None = None
    limits: str = ""
    groups: tuple[str, ...] = ()
    is_gone: bool = False
    is_untrue: bool = False
    log: str = ""
    failed: str = ""
    cause: str | None = None
    capability: str | None = None
    refused: Sequence[str] = ()


@dataclass(frozen=True)
class Trial:
    """A place to try the agents of one user; `data` is the data folder of their server."""

    user: str
    place: Path

    @property
    def data(self) -> Path:
        """The data folder, with a token and a database in it."""
        return self.place / "data"

    @property
    def home(self) -> Path:
        """The user's home folder, with a private key in it."""
        return self.place / "home"

    @property
    def prefix(self) -> list[str]:
        """The arguments that make a command run as this user."""
        return prefix_of(self.user)

    def run(
        self,
        script: str,
        level: SandboxLevel,
        means: Means | None = None,
        **asked: Any,
    ) -> Tried:
        """Run a shell script as the agent, until it and all that it started have ended."""
        order = {
            "run": "run_1",
            # the folder of its copy; runs one after another share it
            "copy": "run_1",
            "script": script,
            "argv": [],
            "level": level,
            "means": means,
            "data": str(self.data),
            "budget": 40,
            "grace": 2,
            "env": {},
            "setup": [],
            "allow": [],
            "network": "all",
            "hosts": [],
            "limits": {},
            # the project whose private home it gets; empty: none
            "project": "",
            "agent": "script",
            "toolchains": [],
            # a FIFO in its copy: once the agent opens it, the server kills the run
            "ends_once": "",
            # seconds by which its server's clock is ahead
            "seconds_later": 0,
            **asked,
        }
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), **order["env"]}
        order["environment"] = environment
        told = self._servers().obey(order, 80 + order["budget"])
        assert "error" not in told, told["error"]
        return Tried(**told)

    def _servers(self) -> Servers:
        return servers_of(self.user)


class Servers:
    """A process that forks a server for each order, with the imports done; it runs as a user."""

    def __init__(self, prefix: Sequence[str], python: str, driver: Path) -> None:
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [*prefix, python, str(driver), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "SERVER_SECRET": CANARY,
                },
                pass_fds=[theirs.fileno()],
            )

    def obey(self, order: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Let a new server obey this order, and return its answer. Raises TimeoutError."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            socket.send_fds(self._door, [b"1"], [theirs.fileno()])
            theirs.close()
            ours.settimeout(seconds)
            ours.sendall(json.dumps(order).encode() + b"\n")
            answer = b"".join(iter(lambda: ours.recv(65536), b""))
        assert answer, f"the server of this trial ended without a word: {order}"
        return json.loads(answer)

    def end(self) -> None:
        """End the process and the servers that are left."""
        self._door.close()
        self._process.wait(20)


@cache
def servers_of(user: str) -> Servers:
    """Return the servers of this user; they end with the tests."""
    servers = Servers(prefix_of(user), *program_of(user))
    atexit.register(servers.end)
    return servers


@contextmanager
def trial_of(user: str) -> Iterator[Trial]:
    """Set up a place for trials of `user`; skip where this machine cannot be that user."""
    if user == ROOT and os.geteuid() != 0:
        pytest.skip("tried as root only where the tests are: this is a plain user")
    program_of(user)
    # not pytest's own folder, which is closed to other users
    place = Path(tempfile.mkdtemp(prefix="runyard-trial-"))
    try:
        for folder in (place / "data", place / "home" / ".ssh"):
            folder.mkdir(parents=True)
        (place / "data" / "token").write_text("the token of the operator")
        (place / "data" / "runyard.db").write_text("SQLite format 3")
        (place / "home" / ".ssh" / "id_ed25519").write_text("a private key")
        if user == PLAIN and os.geteuid() == 0:
            nobody = pwd.getpwnam(_NOBODY)
            place.chmod(0o755)
            for folder in ("data", "home"):
                for path in [place / folder, *(place / folder).rglob("*")]:
                    os.chown(path, nobody.pw_uid, nobody.pw_gid)
        yield Trial(user, place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def prefix_of(user: str) -> list[str]:
    """Return the arguments that make a command run as this user."""
    if user == ROOT or os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam(_NOBODY)
    return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]


@cache
def program_of(user: str) -> tuple[str, Path]:
    """Return an interpreter and the driver, both readable by this user; skip without one."""
    driver = _CHECKOUT / "tests" / "drivers" / "sandbox_driver.py"
    if user == ROOT or os.geteuid() != 0:
        return sys.executable, driver
    python = plain_python()
    if python is None:
        pytest.skip("no Python from 3.11 on is here that a plain user may read")
    program = Path(tempfile.mkdtemp(prefix="runyard-trial-program-"))
    atexit.register(shutil.rmtree, program, ignore_errors=True)
    program.chmod(0o755)
    ignored = shutil.ignore_patterns("__pycache__", "migrations")
    shutil.copytree(_CHECKOUT / "app", program / "app", ignore=ignored)
    # the driver's interpreter may be the system's, which has no packages
    shutil.copytree(Path(structlog.__file__).parent, program / "structlog", ignore=ignored)
    drivers = program / "tests" / "drivers"
    drivers.mkdir(parents=True)
    return python, Path(shutil.copy(driver, drivers))


@cache
def plain_python() -> str | None:
    """Return an interpreter from 3.11 on that a plain user can run, if there is one."""
    prefix = prefix_of(PLAIN)
    for python in (os.path.realpath(sys.executable), _SYSTEM_PYTHON):
        with suppress(OSError):
            asked = [*prefix, python, "-c", _IS_USABLE]
            if subprocess.run(asked, capture_output=True).returncode == 0:
                return python
    return None


@contextmanager
def mounted(source: Path, point: Path) -> Iterator[Path]:
    """Bind-mount a folder at a second place; skip the test unless root."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a folder a second time")
    point.mkdir()
    subprocess.run(["mount", "--bind", str(source), str(point)], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", str(point)], check=True)
        point.rmdir()


def with_programs(folder: Path, monkeypatch: pytest.MonkeyPatch, **programs: str) -> None:
    """Put programs first on PATH."""
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


# most attacks are tried as root by the soak alone, since both users' sandboxes are made alike;
# where the tests cannot be both users, everything is tried as the one that they can be
_ARE_BOTH_USERS = os.geteuid() == 0 and plain_python() is not None


def in_soak(*values: object) -> Any:
    """Return a case that only `make soak` tries: another one shows the same in `make test`."""
    return pytest.param(*values, marks=[pytest.mark.soak] if _ARE_BOTH_USERS else [])


ONE_USER = [PLAIN, in_soak(ROOT)]


def users_and_ways(*chosen: tuple[str, Means | None, SandboxLevel]) -> pytest.MarkDecorator:
    """Parametrize a test by `user`, `means` and `level`: the chosen, and all others in the soak."""
    every = [(user, *way) for user in USERS for way in WAYS]
    assert set(chosen) <= set(every)
    cases = [one if one in chosen else in_soak(*one) for one in every]
    names = [f"{user}-{level}-{means or 'alone'}" for user, means, level in every]
    return pytest.mark.parametrize(("user", "means", "level"), cases, ids=names)
