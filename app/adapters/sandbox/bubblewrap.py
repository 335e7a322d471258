"""Bubblewrap: every level, for root and for plain users."""

# stands alone: one of three means, each a module with `arguments`, picked by the machine

from __future__ import annotations

from collections.abc import Iterable

from app.adapters.sandbox.layout import Does, Step

EXECUTABLE = "bwrap"
_OPTIONS = {
    Does.BIND: "--bind",
    Does.BIND_READ_ONLY: "--ro-bind",
    Does.EMPTY_FOLDER: "--tmpfs",
    Does.FOLDER: "--dir",
    Does.READ_ONLY: "--remount-ro",
}
_ALWAYS = (
    *("--unshare-pid", "--unshare-ipc", "--as-pid-1", "--die-with-parent", "--new-session"),
    *("--cap-drop", "ALL"),
)
# root could change the machine in /proc/sys without a capability
_PROC = ("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys")
# the whole machine, devices included
MACHINE = ("--dev-bind", "/", "/", *_PROC)
# a network with nothing but loopback
OWN_NETWORK = ("--unshare-net",)
NOTHING = ("--unshare-uts", "--dev", "/dev", *_PROC)


def arguments(path: str, base: Iterable[str], steps: Iterable[Step]) -> list[str]:
    """Return the command line up to the command itself.

    `base` is MACHINE or NOTHING, followed by OWN_NETWORK for a network of its own.
    """
    found = [path, *_ALWAYS, *base]
    for step in steps:
        found += _option(step)
    return [*found, "--"]


def _option(step: Step) -> list[str]:
    place = str(step.place)
    if step.does is Does.EMPTY_FOLDER:
        mode = "1777" if place in ("/tmp", "/var/tmp") else "0755"  # noqa: S108
        return ["--perms", mode, "--tmpfs", place]
    if step.does is Does.EMPTY_FILE:
        return ["--ro-bind", "/dev/null", place]
    if step.does is Does.LINK:
        return ["--symlink", step.source, place]
    if step.source:
        return [_OPTIONS[step.does], step.source, place]
    return [_OPTIONS[step.does], place]
