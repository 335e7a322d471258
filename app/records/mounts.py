"""On which file system a database lies: its write-ahead log needs room and no network."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

# what other machines may write to, or what has no memory to share: Linux's names for them
NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gfs2", "ocfs2"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.davfs", "virtiofs"),
    }
)
# what SQLite's side files need before anything can be read
SIDE_ROOM = 1024**2
MOUNTS = Path("/proc/self/mountinfo")


def network_of(file: Path) -> str:
    """The name of the network file system a file lies on; empty for a disk of this machine.

    Empty, too, where the system does not say what is mounted.
    """
    try:
        mounts = MOUNTS.read_text(errors="surrogateescape")
    except OSError:
        return ""
    return network_among(mounts, file.resolve())


def network_among(mounts: str, file: Path) -> str:
    """The same by a mountinfo as in proc(5): the nearest mount counts, the last of one place."""
    nearest, kind = 0, ""
    for line in mounts.splitlines():
        mount, _, system = line.partition(" - ")
        fields = mount.split(" ")
        if len(fields) < 5 or not system:
            continue
        place = Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4]))
        if file.is_relative_to(place) and len(place.parts) >= nearest:
            nearest, kind = len(place.parts), system.split(" ")[0]
    return kind if kind in NETWORK else ""


def is_cramped(file: Path) -> bool:
    """True where the disk has no room for the files that SQLite keeps beside a database."""
    with suppress(OSError):
        return shutil.disk_usage(file.parent).free < SIDE_ROOM
    return False


def cramped_uri(file: Path) -> str:
    """The address by which a database is read on a full disk: its index is kept in memory.

    Only one process can use it so.
    """
    return f"file:{quote(str(file))}?vfs=unix-excl"
