"""A command in a control group and a landlock domain, and its keeper outside both.

Nothing inside can reach the keeper. When the command or the keeper's parent ends, the keeper kills
the whole group. It removes the group only if the command succeeded, as process 1 does when asked
to finish; otherwise the empty group stays as proof of the end. Imports only standard library
modules that load fast.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import struct
import sys
from collections.abc import Collection

from app.adapters.supervisor.cgroups import GROUPS, own_group, tree_of, write, write_if_able
from app.adapters.supervisor.enter import drop_powers
from app.adapters.supervisor.kernel import PROC, die_with

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
# covers signals, links and renames across folders, truncation and device ioctls
NEEDED_ABI = 6
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_EVERYTHING = (1 << 16) - 1
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READING = _EXECUTE | _READ_FILE | _READ_DIR
# no abstract sockets and no signals outside the domain
_SCOPED = 3
_PR_SET_PDEATHSIG = 1
_GROUP_WAIT_MS = 100
_libc = ctypes.CDLL(None, use_errno=True)


def hold_in(words: list[str]) -> None:
    """Run a command in the domain until it ends; on failure, print one line and exit with 1.

    `words` are the plan as JSON, then the command.
    """
    plan, command = json.loads(words[0]), words[1:]
    parent = os.getppid()
    instance, run_id = (os.environ.get(f"RUNYARD_{name}", "") for name in ("INSTANCE", "RUN_ID"))
    keeper = os.getpid()
    news = {signal.SIGCHLD, signal.SIGTERM}
    try:
        group = _make_group(tree_of(instance, run_id) if run_id else f"runyard-probe-{keeper}")
        before = signal.pthread_sigmask(signal.SIG_BLOCK, news)
        pid = os.fork()
        if pid == 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            write(group, "cgroup.procs", "0")
            drop_powers()
            die_with(keeper)
            _restrict(plan)
            os.execv(command[0], command)  # noqa: S606 - an argv list, no shell
    except OSError as problem:
        print(f"{problem.strerror}: {problem.filename}", file=sys.stderr, flush=True)
        os._exit(1)
    code = _keep(pid, parent, group, news)
    if code == 0 or not run_id:
        os.rmdir(group)
    os._exit(code)


def abi() -> int:
    """Return the landlock ABI version of this kernel, 0 if it has none."""
    return max(0, _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION))


# --- the tree --------------------------------------------------------------------------------


def _keep(pid: int, parent: int, group: str, news: Collection[signal.Signals]) -> int:
    """Wait until the command or this process's parent ends, then kill what is left.

    Return 0 if the command itself succeeded, else 1.
    """
    # drop the command's stdin: its other end must see it close with the command
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    # evade the OOM killer as far as permitted
    write_if_able("/proc/self", "oom_score_adj", "0")
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    code = 1
    while os.getppid() == parent and signal.sigwait(news) != signal.SIGTERM:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            break
    _end_group(group)
    return 1 if code else 0


def _make_group(name: str) -> str:
    """Create an empty version 2 group below this process's own. Raises OSError."""
    own = own_group(PROC, GROUPS, "")
    if own is None:
        raise FileNotFoundError(0, "There are no control groups of version 2", GROUPS)
    group = f"{own}/{name}"
    try:
        os.mkdir(group, 0o755)
    except FileExistsError:
        _end_group(group)
    except OSError as problem:
        raise OSError(
            problem.errno, f"This user has no control group to divide ({problem.strerror})", own
        ) from problem
    return group


def _end_group(group: str) -> None:
    """Kill every process in the group until it is empty."""
    try:
        events = os.open(f"{group}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    news = select.poll()
    news.register(events, select.POLLPRI)
    while b"populated 0" not in os.pread(events, 4096, 0):
        write_if_able(group, "cgroup.kill", "1")
        news.poll(_GROUP_WAIT_MS)
    os.close(events)


# --- the domain ------------------------------------------------------------------------------


def _restrict(plan: dict[str, list[str]]) -> None:
    """Grant access to everything but what `plan` hides: landlock has no rules that deny.

    An entry created later in a folder above a hidden one is inaccessible inside.
    """
    handled = struct.pack("=QQQ", _EVERYTHING, 0, _SCOPED)
    rules = _libc.syscall(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    if rules < 0:
        raise OSError(ctypes.get_errno(), "Landlock refused the rules", "landlock")
    kept = {*plan["hidden"], *plan["readable"], PROC}
    # listing is granted everywhere: a rule covers all below its folder, and those above need it
    _allow(rules, "/", _READ_DIR)
    _allow_beside(rules, "/", kept)
    for path in plan["readable"]:
        _allow(rules, path, _READING)
    # root could change the machine in /proc without any capability
    _allow(rules, PROC, _READING if os.geteuid() == 0 else _EVERYTHING)
    for path in plan["writable"]:
        _allow(rules, path, _EVERYTHING)
    if _libc.syscall(_RESTRICT_SELF, rules, 0) != 0:
        raise OSError(ctypes.get_errno(), "Landlock refused to restrict", "landlock")
    os.close(rules)


def _allow_beside(rules: int, folder: str, kept: Collection[str]) -> None:
    """Grant everything in a folder but `kept`, descending into folders that lead to it."""
    try:
        names = os.listdir(folder)
    except PermissionError:
        return  # unlistable for this user: nothing there is granted
    for name in names:
        path = os.path.join(folder, name)
        if path in kept or os.path.islink(path):
            continue
        if any(one.startswith(f"{path}/") for one in kept):
            _allow_beside(rules, path, kept)
        else:
            _allow(rules, path, _EVERYTHING)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return  # gone since it was listed
    try:
        if not os.path.isdir(f"/proc/self/fd/{place}"):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, place)
        if rights and _libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, rule, 0) != 0:
            raise OSError(ctypes.get_errno(), "Landlock refused a rule", path)
    finally:
        os.close(place)
