"""Control groups on the server's side: the delegated one, those left by runs, systemd scopes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from app.adapters.supervisor.cgroups import (
    GROUPS,
    OWN_LEAF,
    name_of,
    own_group,
    pids_in,
    remove,
    tree_of,
    words_in,
    write,
)
from app.adapters.supervisor.kernel import PROC, descendants
from app.domain.sandbox.levels import Limits

# exists if systemd is running
SYSTEMD = "/run/systemd/system"
_NEEDED = frozenset({"memory", "pids"})
_PROBE_SECONDS = 5.0
_RUNTIME = "XDG_RUNTIME_DIR"


def tend_groups(instance: str, is_over: Callable[[str], bool]) -> int:
    """Set up a delegated group, and remove the groups of finished runs; return their number."""
    settle_in()
    return clear_groups(instance, is_over)


def clear_groups(instance: str, is_over: Callable[[str], bool], *, groups: str = GROUPS) -> int:
    """Remove the groups of finished runs and return their number.

    Searches the whole hierarchy for this installation's groups, as an earlier server may have run
    elsewhere in it. The kernel refuses to remove a group with live processes.
    """
    beginning, count = name_of(instance, ""), 0
    for place, names, _ in os.walk(groups):
        ours = [name for name in names if name.startswith(beginning)]
        names[:] = [name for name in names if name not in ours]
        for name in ours:
            if is_over(name.removeprefix(beginning).partition("-")[0]):
                count += remove(f"{place}/{name}")
    return count


def is_tree_empty(instance: str, run_id: str, *, groups: str = GROUPS) -> bool:
    """Return True if the group of a landlocked run exists and has no processes."""
    name = tree_of(instance, run_id)
    found = [f"{place}/{name}" for place, names, _ in os.walk(groups) if name in names]
    return bool(found) and all(_is_empty(folder) for folder in found)


def _is_empty(folder: str) -> bool:
    try:
        with open(f"{folder}/cgroup.events", encoding="ascii") as file:
            return "populated 0" in file.read().splitlines()
    except (OSError, ValueError):
        return False


def settle_in(*, proc: str = PROC, groups: str = GROUPS, systemd: str = SYSTEMD) -> bool:
    """Set up a delegated cgroup v2 by moving this process and its children into a leaf of it.

    A group that contains processes cannot pass its controllers to subgroups. Return False if
    nothing is delegated or foreign processes are in the group.
    """
    own = own_group(proc, groups, "")
    if own is None or os.path.basename(own) == OWN_LEAF:
        return own is not None
    if not _is_delegated(own, systemd) or not words_in(own, "cgroup.controllers") >= _NEEDED:
        return False
    try:
        ours = {os.getpid(), *(stat.pid for stat in descendants([os.getpid()], proc))}
        pids = pids_in(own)
        if not ours.issuperset(pids):
            return False
        os.makedirs(f"{own}/{OWN_LEAF}", exist_ok=True)
        for pid in pids:
            write(f"{own}/{OWN_LEAF}", "cgroup.procs", str(pid))
        write(own, "cgroup.subtree_control", "+memory +pids")
    except OSError:
        return False
    return True


def _is_delegated(own: str, systemd: str) -> bool:
    """Return True if the group is delegated to us; under systemd only if its xattr says so."""
    if not os.access(f"{own}/cgroup.subtree_control", os.W_OK):
        return False
    if not os.path.isdir(systemd):
        return True
    for name in ("user.delegate", "trusted.delegate"):
        with suppress(OSError):
            if os.getxattr(own, name) == b"1":
                return True
    return False


def scope_of(limits: Limits, runtime_given: str | None) -> list[str]:
    """Return the arguments that run a command in a systemd scope; empty if there is none.

    The command gets `runtime_given` as XDG_RUNTIME_DIR, or none, so that agents do not get the
    server's path to systemd.
    """
    properties = _properties(limits)
    if not properties or not scopes_work():
        return []
    back = [f"{_RUNTIME}={runtime_given}"] if runtime_given else ["-u", _RUNTIME]
    inside = [_program("env"), "-u", "INVOCATION_ID", *back]
    return [_program("env"), f"{_RUNTIME}={_runtime()}", *_scope(properties), *inside]


@cache
def scopes_work() -> bool:
    """Return True if systemd can run a command in a scope with limits, found by trying once."""
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
