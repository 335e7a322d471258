"""Places hidden from agents: Runyard's own, services that start programs, and raw devices."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.domain.sandbox.levels import HostService

_OCTAL = re.compile(rb"\\([0-7]{3})")
# endings of the files that make up an SQLite database
_BESIDE_A_DATABASE = ("", "-wal", "-shm", "-journal", ".bell")
# {run} is the user's runtime folder, {home} the home folder
_SERVICES: Mapping[HostService, tuple[str, ...]] = {
    HostService.DOCKER: (
        *("/run/docker.sock", "/run/docker", "{run}/docker.sock", "{run}/docker"),
        *("{home}/.docker/run", "{home}/.docker/desktop", "/run/snap.docker"),
    ),
    HostService.PODMAN: ("/run/podman", "{run}/podman"),
    HostService.CONTAINERD: (
        *("/run/containerd", "{run}/containerd", "{run}/containerd-rootless"),
        *("/run/k3s/containerd", "/run/crio", "/run/buildkit", "{run}/buildkit"),
    ),
    HostService.DBUS: ("{run}/bus", "{run}/dbus-1", "/run/dbus"),
    HostService.SYSTEMD: ("{run}/systemd", "/run/systemd/private"),
    HostService.CRON: ("/var/spool/cron", "/run/crond", "/etc/cron.d"),
    HostService.AT: ("/var/spool/at", "/var/spool/cron/atjobs", "/var/spool/cron/atspool"),
}
# variables that point programs to a service at another address
_ADDRESSES: Mapping[HostService, tuple[str, ...]] = {
    HostService.DOCKER: ("DOCKER_HOST",),
    HostService.PODMAN: ("CONTAINER_HOST",),
    HostService.CONTAINERD: ("CONTAINERD_ADDRESS", "BUILDKIT_HOST"),
    HostService.DBUS: ("DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"),
}
# unix:///run/docker.sock, unix:path=/run/bus,guid=1, or the path alone
_SOCKETS = re.compile(r"(?:^|unix:(?:path=|//))(/[^,;]*)")
# character devices for memory, or for disks beside their block devices
_RAW = re.compile(r"(mem|kmem|port|kmsg|nvram|oldmem|(sg|mtd|ng|nvme)\d.*)|.*/bsg/.*")


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo: `point` shows the folder `root` of the file system on `device`."""

    device: str
    root: Path
    point: Path
    options: frozenset[str]


def read_mounts(table: str = "/proc/self/mountinfo") -> list[Mount]:
    """Return every mount, oldest first. Raises OSError."""
    with open(table, "rb") as file:
        return [_read(line) for line in file]


def mount_of(path: Path, mounts: Sequence[Mount]) -> Mount | None:
    """Return the mount that shows `path`, the newest of those at the same point."""
    above = [one for one in mounts if one.point == path or one.point in path.parents]
    return max(above, key=lambda one: (len(one.point.parts), mounts.index(one)), default=None)


def other_views(place: Path, mounts: Sequence[Mount]) -> Iterator[Path]:
    """Yield the other paths that show the files of `place` or some of them."""
    own = mount_of(place, mounts)
    if own is not None:
        yield from _views(place, own, mounts)
    # mounts inside it show other file systems
    for one in mounts:
        if place in one.point.parents:
            yield from _views(one.point, one, mounts)


def _views(place: Path, own: Mount, mounts: Sequence[Mount]) -> Iterator[Path]:
    inside = own.root / place.relative_to(own.point)
    for one in mounts:
        if one.device != own.device or one == own:
            continue
        if one.root == inside or one.root in inside.parents:
            view = one.point / inside.relative_to(one.root)
        elif inside in one.root.parents:
            view = one.point
        else:
            continue
        is_elsewhere = view != place and place not in view.parents and view not in place.parents
        # skip views that another mount covers
        if is_elsewhere and mount_of(view, mounts) == one:
            yield view


def _read(line: bytes) -> Mount:
    fields = line.split(b" ")
    return Mount(
        device=fields[2].decode(),
        root=_path(fields[3]),
        point=_path(fields[4]),
        options=frozenset(fields[5].decode().split(",")),
    )


def _path(words: bytes) -> Path:
    plain = _OCTAL.sub(lambda found: bytes([int(found[1], 8)]), words)
    return Path(plain.decode(errors="surrogateescape"))


@dataclass(frozen=True)
class Hidden:
    """The folders, outermost ones only, and the files that appear empty inside."""

    folders: tuple[Path, ...]
    files: tuple[Path, ...]

    def covers(self, path: Path) -> bool:
        """Return True if `path` is a hidden folder or lies in one."""
        return any(path == folder or folder in path.parents for folder in self.folders)

    def within(self, visible: Collection[Path]) -> Hidden:
        """Return only what lies in folders that are visible inside, and so can be mounted over."""

        def shows(place: Path) -> bool:
            return any(place == folder or folder in place.parents for folder in visible)

        return Hidden(
            tuple(folder for folder in self.folders if shows(folder)),
            tuple(file for file in self.files if shows(file)),
        )


@dataclass(frozen=True)
class OwnPlaces:
    """Runyard's own folders, and its SQLite databases, which may lie elsewhere."""

    folders: tuple[Path, ...]
    databases: tuple[Path, ...] = ()

    def identities(self) -> dict[Path, tuple[int, int]]:
        """Return the device and inode number of each folder that exists."""
        found = {place: place.stat() for place in self.folders if place.exists()}
        return {place: (seen.st_dev, seen.st_ino) for place, seen in found.items()}

    def hidden(self, allow: Collection[HostService], environment: Mapping[str, str]) -> Hidden:
        """Return what to hide now, by real path and by every other mount that shows it."""
        mounts = read_mounts()
        own = [*self.folders, *_database_places(self.databases)]
        found = {place.resolve() for place in own if place.exists()}
        # a second mount would show the same files again
        for place in tuple(found):
            found.update(other_views(place, mounts))
        found.update(_services(allow, environment))
        found.update(_raw_devices())
        return _sorted(found)


def _database_places(databases: Collection[Path]) -> Iterator[Path]:
    # SQLite keeps its journals beside the real file, not beside a link to it
    for database in (place.resolve() for place in databases):
        yield from (database.with_name(database.name + end) for end in _BESIDE_A_DATABASE)
        # if a folder holds nothing else, hide all of it: journals come and go
        if database.parent.is_dir() and _has_to_itself(database):
            yield database.parent


def _has_to_itself(database: Path) -> bool:
    return all(entry.startswith(database.name) for entry in os.listdir(database.parent))


def places_of(allow: Collection[HostService], environment: Mapping[str, str]) -> list[Path]:
    """Return the existing paths of the services that a project allows."""
    return [place for place in map(Path, _named(allow, environment)) if os.path.exists(place)]


def _named(services: Collection[HostService], environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the usual paths of services, and those that the environment names."""
    home = environment.get("HOME") or "/nonexistent"
    # XDG_RUNTIME_DIR may not be systemd's folder, whose services still exist
    usual = f"/run/user/{os.getuid()}"
    runs = dict.fromkeys((environment.get("XDG_RUNTIME_DIR") or usual, usual))
    for service in services:
        for run in runs:
            yield from (place.format(run=run, home=home) for place in _SERVICES[service])
        for variable in _ADDRESSES.get(service, ()):
            yield from _SOCKETS.findall(environment.get(variable, ""))


def _services(allow: Collection[HostService], environment: Mapping[str, str]) -> Iterator[Path]:
    allowed = set(_named(allow, environment))
    for place in _named([one for one in _SERVICES if one not in allow], environment):
        if place not in allowed and os.path.lexists(place):
            yield Path(place).resolve()


def _raw_devices() -> Iterator[Path]:
    """Yield the disk and memory devices that this user can read, which bypass file modes."""
    for place, folders, names in os.walk("/dev"):
        folders[:] = [name for name in folders if name not in ("shm", "pts", "mqueue")]
        for name in names:
            path = os.path.join(place, name)
            try:
                mode = os.lstat(path).st_mode
            except OSError:
                continue
            is_raw = stat.S_ISCHR(mode) and (_RAW.fullmatch(name) or _RAW.fullmatch(path))
            if (stat.S_ISBLK(mode) or is_raw) and os.access(path, os.R_OK):
                yield Path(path)


def _sorted(found: Collection[Path]) -> Hidden:
    folders: list[Path] = []
    for path in sorted(place for place in found if place.is_dir()):
        if not any(outer in path.parents for outer in folders):
            folders.append(path)
    files = [
        path
        for path in sorted(found)
        if not path.is_dir() and not any(outer in path.parents for outer in folders)
    ]
    return Hidden(tuple(folders), tuple(files))
