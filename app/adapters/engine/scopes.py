"""Scopes of systemd's: what holds a run to its limits where no control group is ours to make."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from app.adapters.engine.run_groups import SYSTEMD
from app.domain.sandboxes import Limits

_PROBE_SECONDS = 5.0
_RUNTIME = "XDG_RUNTIME_DIR"


def scope_of(limits: Limits, runtime_given: str | None) -> list[str]:
    """The arguments before a command that take it into a scope; empty where none can be had.

    The command itself has `runtime_given` as its XDG_RUNTIME_DIR, or none: what reaches systemd
    is not for agents.
    """
    properties = _properties(limits)
    if not properties or not scopes_work():
        return []
    back = [f"{_RUNTIME}={runtime_given}"] if runtime_given else ["-u", _RUNTIME]
    inside = [_program("env"), "-u", "INVOCATION_ID", *back]
    return [_program("env"), f"{_RUNTIME}={_runtime()}", *_scope(properties), *inside]


@cache
def scopes_work() -> bool:
    """True where systemd takes a command into a scope with limits, found out by doing it."""
    if not Path(SYSTEMD).is_dir() or shutil.which("systemd-run") is None:
        return False
    properties = _properties(Limits(memory_mb=1024, processes=64))
    try:
        answer = subprocess.run(
            [*_scope(properties), _program("true")],
            env={_RUNTIME: _runtime()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return answer.returncode == 0


def _properties(limits: Limits) -> list[str]:
    found: list[str] = []
    if limits.memory_mb:
        found += ["-p", f"MemoryMax={limits.memory_mb * 1000**2}", "-p", "MemorySwapMax=0"]
    if limits.processes:
        found += ["-p", f"TasksMax={limits.processes}"]
    return found


def _scope(properties: Sequence[str]) -> list[str]:
    flags = ["--user", "--scope", "--quiet", "--collect"]
    return [_program("systemd-run"), *flags, *properties, "--"]


def _program(name: str) -> str:
    return shutil.which(name) or name


def _runtime() -> str:
    return os.environ.get(_RUNTIME) or f"/run/user/{os.getuid()}"
