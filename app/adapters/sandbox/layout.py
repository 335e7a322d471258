"""The file system that an agent sees at each level, as mount steps for any of the means."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from app.adapters.sandbox.hidden import Hidden
from app.services.ports import Enclosure

SYSTEM = ("/usr", "/etc", "/opt")
# folders of the system, or links into /usr
_ROOTS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# parts of /etc that root could read without a capability
_PRIVATE = (
    *("shadow", "shadow-", "gshadow", "gshadow-", "ssh/ssh_host_*_key", "ssl/private"),
    *("pki/tls/private", "letsencrypt", "wireguard", "NetworkManager/system-connections"),
)
_RESOLVER = "/etc/resolv.conf"
# mounting a home folder here would hide files of the system
_TAKEN = frozenset(map(Path, ("/", *SYSTEM, *_ROOTS, "/dev", "/proc", "/sys")))
_STAND_IN = Path("/home/agent")


class Does(StrEnum):
    """The effect of one step on a place."""

    BIND = "bind"
    BIND_READ_ONLY = "ro"
    EMPTY_FOLDER = "tmpfs"
    EMPTY_FILE = "empty"
    FOLDER = "dir"
    LINK = "link"
    READ_ONLY = "seal"


@dataclass(frozen=True)
class Step:
    """One mount, folder or link; `source` is the path to bind, or the target of the link."""

    does: Does
    place: Path
    source: str = ""


def home_of(environment: Mapping[str, str]) -> Path:
    """Return the user's home folder: HOME, else the account's."""
    named = environment.get("HOME")
    if not named:
        try:
            named = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            named = "/"  # as in a container whose user has no account
    return Path(os.path.normpath(named))


def home_inside(environment: Mapping[str, str]) -> Path:
    """Return the path of the private home inside: that of the user's own home, if possible."""
    home = home_of(environment)
    return _STAND_IN if home in _TAKEN or not home.is_absolute() else home


def contained(enclosure: Enclosure, hidden: Hidden, programs: Iterable[Path]) -> list[Step]:
    """Return the steps that show the machine as it is, without the hidden places."""
    shown = [
        _bound(Does.BIND, enclosure.copy),
        *(_bound(Does.BIND_READ_ONLY, path) for path in (*enclosure.readable, *programs)),
    ]
    return [
        # root could write to control groups and power settings there without a capability
        Step(Does.BIND_READ_ONLY, Path("/sys"), "/sys"),
        *_hide(hidden),
        *(step for step in shown if hidden.covers(step.place)),
        *_lend(enclosure),
        *(Step(Does.READ_ONLY, folder) for folder in hidden.folders),
    ]


def sandboxed(
    enclosure: Enclosure,
    hidden: Hidden,
    programs: Iterable[Path],
    *,
    home: Path,
    toolchains: Sequence[Path],
    allowed: Iterable[Path],
) -> list[Step]:
    """Return the steps that show a read-only system, a private home, and what the run needs."""
    visible = [Path(root) for root in SYSTEM if os.path.isdir(root)]
    tools = [tool for tool in (*toolchains, *programs) if not _lies_in(tool, visible)]
    private = [place.resolve() for name in _PRIVATE for place in Path("/etc").glob(name)]
    kept_back = Hidden(
        tuple(place for place in private if place.is_dir()),
        tuple(place for place in private if place.is_file()),
    )
    at_home = str(enclosure.home) if enclosure.home else ""
    return [
        *(Step(Does.BIND_READ_ONLY, root, str(root)) for root in visible),
        *_system_roots(),
        *(Step(Does.EMPTY_FOLDER, Path(name)) for name in ("/tmp", "/var", "/run")),  # noqa: S108
        Step(Does.FOLDER, Path("/var/tmp")),  # noqa: S108
        Step(Does.BIND, home, at_home) if at_home else Step(Does.EMPTY_FOLDER, home),
        *(Step(Does.BIND_READ_ONLY, tool, str(tool)) for tool in tools),
        *_hide(hidden.within([*visible, *tools])),
        *_hide(kept_back.within(visible)),
        *_resolver(),
        *(Step(Does.BIND, place, str(place)) for place in allowed),
        *(_bound(Does.BIND_READ_ONLY, path) for path in enclosure.readable),
        _bound(Does.BIND, enclosure.copy),
        *_lend(enclosure),
        Step(Does.READ_ONLY, Path("/")),
    ]


def _bound(does: Does, path: Path) -> Step:
    real = path.resolve()
    return Step(does, real, str(real))


def _hide(hidden: Hidden) -> Iterator[Step]:
    yield from (Step(Does.EMPTY_FOLDER, folder) for folder in hidden.folders)
    yield from (Step(Does.EMPTY_FILE, file) for file in hidden.files)


def _lend(enclosure: Enclosure) -> Iterator[Step]:
    for outside, inside in enclosure.lent.items():
        yield Step(Does.BIND, inside, str(outside))


def _lies_in(path: Path, folders: Iterable[Path]) -> bool:
    return any(path == folder or folder in path.parents for folder in folders)


def _system_roots() -> Iterator[Step]:
    for root in _ROOTS:
        if os.path.islink(root):
            yield Step(Does.LINK, Path(root), os.readlink(root))
        elif os.path.isdir(root):
            yield Step(Does.BIND_READ_ONLY, Path(root), root)


def _resolver() -> Iterator[Step]:
    """Bind the target of resolv.conf if it is a link into a folder that is private inside."""
    target = os.path.realpath(_RESOLVER)
    is_away = os.path.islink(_RESOLVER) and target.startswith(("/run/", "/var/"))
    if is_away and os.path.isfile(target):
        yield Step(Does.BIND_READ_ONLY, Path(target), target)
