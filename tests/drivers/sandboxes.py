"""Trials of agents in sandboxes: as root and as a plain user, by each means, at each level."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
    driver: Path
    python: str

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
        return _prefix(self.user)

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
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PYTHONDONTWRITEBYTECODE": "1",
            **order["env"],
        }
        done = subprocess.run(
            [*self.prefix, self.python, str(self.driver)],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            env=environment,
            timeout=80 + order["budget"],
        )
        assert done.returncode == 0, done.stderr
        return Tried(**json.loads(done.stdout))


@contextmanager
def trial_of(user: str) -> Iterator[Trial]:
    """Set up a place for trials of `user`; skip where this machine cannot be that user."""
    if user == ROOT and os.geteuid() != 0:
        pytest.skip("tried as root only where the tests are: this is a plain user")
    # not pytest's own folder, which is closed to other users
    place = Path(tempfile.mkdtemp(prefix="runyard-trial-"))
    try:
        driver, python = _program(user, place)
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
        yield Trial(user, place, driver, python)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _prefix(user: str) -> list[str]:
    if user == ROOT or os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam(_NOBODY)
    return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]


def _program(user: str, place: Path) -> tuple[Path, str]:
    """Return the driver and an interpreter that this user can read."""
    if user == ROOT or os.geteuid() != 0:
        return _CHECKOUT / "tests" / "drivers" / "sandbox_driver.py", sys.executable
    program = place / "program"
    ignored = shutil.ignore_patterns("__pycache__", "migrations")
    shutil.copytree(_CHECKOUT / "app", program / "app", ignore=ignored)
    # the driver's interpreter may be the system's, which has no packages
    shutil.copytree(Path(structlog.__file__).parent, program / "structlog", ignore=ignored)
    drivers = program / "tests" / "drivers"
    drivers.mkdir(parents=True)
    driver = shutil.copy(_CHECKOUT / "tests" / "drivers" / "sandbox_driver.py", drivers)
    return Path(driver), _python_for([*_prefix(user)])


def _python_for(prefix: Sequence[str]) -> str:
    for python in (os.path.realpath(sys.executable), _SYSTEM_PYTHON):
        try:
            asked = [*prefix, python, "-c", _IS_USABLE]
            if subprocess.run(asked, capture_output=True).returncode == 0:
                return python
        except OSError:
            continue
    pytest.skip("no Python from 3.11 on is here that a plain user may read")


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
