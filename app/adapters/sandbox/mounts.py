"""The mounts of this machine: where the same files can be seen a second time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_OCTAL = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo: `root` is the place in its file system that `point` shows."""

    device: str
    root: Path
    point: Path
    options: frozenset[str]


def read_mounts(table: str = "/proc/self/mountinfo") -> list[Mount]:
    """Every mount, in the order in which they were made. Raises OSError."""
    with open(table, "rb") as file:
        return [_read(line) for line in file]


def mount_of(path: Path, mounts: Sequence[Mount]) -> Mount | None:
    """The mount that shows `path`, the newest of those at the same point."""
    above = [one for one in mounts if one.point == path or one.point in path.parents]
    return max(above, key=lambda one: (len(one.point.parts), mounts.index(one)), default=None)


def other_views(place: Path, mounts: Sequence[Mount]) -> Iterator[Path]:
    """Where else than at `place` its files, or some of them, can be seen."""
    own = mount_of(place, mounts)
    if own is not None:
        yield from _views(place, own, mounts)
    # what is mounted inside has files of another file system
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
        # what another mount covers there is not seen
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
