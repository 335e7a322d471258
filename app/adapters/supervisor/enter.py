"""First program in namespaces made by util-linux: makes the planned mounts, drops all capabilities.

It is process 1 of the new namespaces and may mount in them. Imports only standard library modules
that load fast.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import sys
from collections.abc import Iterable

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 32, 4096, 16384, 1 << 18
_MS_NOATIME, _MS_NODIRATIME, _MS_RELATIME = 1024, 2048, 1 << 21
_CLONE_NEWUSER = 0x10000000
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 24, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION = 0x20080522
# flags that a user namespace cannot clear on a mount
_KEPT = {
    "nosuid": _MS_NOSUID,
    "nodev": _MS_NODEV,
    "noexec": _MS_NOEXEC,
    "noatime": _MS_NOATIME,
    "nodiratime": _MS_NODIRATIME,
    "relatime": _MS_RELATIME,
}
# parts of /proc where root could change the machine without any capability
_PARTS_OF_PROC = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs")
# flags of an empty folder's mount, repeated when it is made read-only
_SEALED = _MS_NOSUID | _MS_NODEV
_libc = ctypes.CDLL(None, use_errno=True)


def enter(words: list[str]) -> None:
    """Make the planned mounts and become the command; on failure, print one line and exit with 1.

    `words` are the plan as JSON, then the command.
    """
    plan, command = json.loads(words[0]), words[1:]
    try:
        _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
        _take(plan["steps"])
        _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
        for part in _PARTS_OF_PROC:
            if os.path.exists(part):
                _bind(part, part, read_only=True)
        os.chdir("/")
        if plan["uid"] is not None:
            _become(plan["uid"], plan["gid"])
        drop_powers()
        if not _is_init(command):
            os.execv(command[0], command)  # noqa: S606 - an argv list, no shell
    except OSError as problem:
        print(f"{problem.strerror}: {problem.filename}", file=sys.stderr)
        os._exit(1)
    from app.adapters.supervisor.init import serve

    serve()


def _is_init(command: list[str]) -> bool:
    """Return True if the command is this program's own `init`, which needs no exec."""
    return command == [*sys.orig_argv[: -len(sys.argv)], sys.argv[0], "init"]


def _take(steps: Iterable[tuple[str, str, str]]) -> None:
    # open the sources first: an earlier step may hide them
    steps = list(steps)
    bound = {source for does, _, source in steps if does in ("bind", "ro")}
    sources = {source: os.open(source, os.O_PATH | os.O_CLOEXEC) for source in bound}
    for does, place, source in steps:
        if does in ("bind", "ro"):
            _make_place(place, is_folder=os.path.isdir(f"/proc/self/fd/{sources[source]}"))
            _bind(f"/proc/self/fd/{sources[source]}", place, read_only=does == "ro")
        elif does == "tmpfs":
            _mount("tmpfs", place, "tmpfs", _SEALED, "mode=0755")
        elif does == "empty":
            _bind("/dev/null", place, read_only=True)
        elif does == "seal":
            _mount(None, place, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _SEALED)
        elif does == "dir":
            os.makedirs(place, exist_ok=True)
        elif does == "link":
            os.symlink(source, place)
    # open descriptors would bypass what is hidden
    for file in sources.values():
        os.close(file)


def _make_place(place: str, *, is_folder: bool) -> None:
    """Create a missing mount point, as below a folder that was just hidden."""
    if os.path.lexists(place):
        return
    if is_folder:
        os.makedirs(place)
        return
    os.makedirs(os.path.dirname(place), exist_ok=True)
    os.close(os.open(place, os.O_WRONLY | os.O_CREAT, 0o600))


def _bind(source: str, place: str, *, read_only: bool) -> None:
    _mount(source, place, None, _MS_BIND | _MS_REC)
    if read_only:
        _make_read_only(place)


def _make_read_only(place: str) -> None:
    """Remount a mount and all mounts below it read-only."""
    real = os.path.realpath(place).encode("utf-8", "surrogateescape")
    with open("/proc/self/mountinfo", "rb") as table:
        lines = [line.split(b" ") for line in table]
    for fields in lines:
        point = fields[4].decode("unicode_escape").encode("latin-1")
        if point == real or point.startswith(real.rstrip(b"/") + b"/"):
            kept = sum(_KEPT.get(word, 0) for word in fields[5].decode().split(","))
            _mount(None, point, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | kept)


def _become(uid: int, gid: int) -> None:
    """Map back to the user and group outside, in a user namespace nested in the first."""
    if _libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "Cannot be this user inside", "user namespace")
    for name, words in (
        ("setgroups", "deny"),
        ("gid_map", f"{gid} 0 1"),
        ("uid_map", f"{uid} 0 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(words)


def drop_powers() -> None:
    """Drop every capability for good, across later execs too."""
    number = 0
    while _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) == 0:
        number += 1
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "Cannot give up new privileges", "prctl")
    header = struct.pack("=II", _CAPABILITY_VERSION, 0)
    if _libc.capset(header, struct.pack("=6I", 0, 0, 0, 0, 0, 0)) != 0:
        raise OSError(ctypes.get_errno(), "Cannot give up the capabilities", "capset")


def _mount(
    source: str | None, place: str | bytes, kind: str | None, flags: int, data: str | None = None
) -> None:
    def words(text: str | bytes | None) -> bytes | None:
        return os.fsencode(text) if text is not None else None

    if _libc.mount(words(source), words(place), words(kind), flags, words(data)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), place)
