"""F44: a database on a network file system uses a journal mode that is safe there."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from app.records.database import engines
from app.records.database.database import Database
from app.records.database.engines import network_among, network_of, sqlite_engine
from app.records.database.integrity import inspect_database

DISK = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw"
NFS = "40 22 0:44 / /srv/team rw,relatime shared:9 - nfs4 host:/team rw,vers=4.2"
INSIDE = "41 40 254:2 / /srv/team/scratch rw - xfs /dev/vdb rw"
SPACED = "42 22 0:45 / /srv/our\\040team rw - cifs //host/team rw"
SSH = "43 22 0:46 / /home/me/far rw,nosuid - fuse.sshfs me@host: rw"
OVER = "44 40 254:3 / /srv/team rw - ext4 /dev/vdc rw"


@pytest.mark.parametrize(
    ("lines", "file", "network"),
    [
        ([DISK, NFS], "/var/lib/runyard/runyard.db", ""),
        ([DISK, NFS], "/srv/team/runyard/runyard.db", "nfs4"),
        ([DISK, NFS], "/srv/teammates/runyard.db", ""),
        ([DISK, NFS, INSIDE], "/srv/team/scratch/runyard.db", ""),
        ([INSIDE, NFS, DISK], "/srv/team/scratch/runyard.db", ""),
        ([DISK, NFS, OVER], "/srv/team/runyard.db", ""),
        ([DISK, SPACED], "/srv/our team/runyard.db", "cifs"),
        ([DISK, SSH], "/home/me/far/runyard.db", "fuse.sshfs"),
        (["", "no mount - at all", DISK], "/runyard.db", ""),
        ([], "/runyard.db", ""),
    ],
)
def test_f44_the_nearest_mount_says_whether_a_file_is_on_the_network(
    lines: list[str], file: str, network: str
) -> None:
    assert network_among("\n".join(lines), Path(file)) == network


def test_f44_a_database_on_the_network_is_kept_by_a_rollback_journal_and_doctor_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tmp_path / "mountinfo"
    said.write_text(f"{DISK}\n50 22 0:50 / {tmp_path} rw - nfs4 host:/x rw\n")
    monkeypatch.setattr(engines, "MOUNTS", said)
    database = Database(f"sqlite:///{tmp_path / 'a.db'}", publish=lambda _: None)
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE a (b INTEGER)"))
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "delete"
    assert inspect_database(database).network == "nfs4"
    database.close()
    assert {file.name for file in tmp_path.glob("a.db*")} == {"a.db"}


def test_f44_where_sqlite_refuses_the_write_ahead_log_it_is_written_to_all_the_same(
    tmp_path: Path,
) -> None:
    # a VFS without shared memory, as on some file systems
    address = f"sqlite:///file:{tmp_path / 'a.db'}?vfs=unix-none&uri=true"
    engine = sqlite_engine(address, size=1, begin="BEGIN IMMEDIATE", busy_seconds=1)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE a (b INTEGER)"))
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO a VALUES (1)"))
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "delete"
    with engine.begin() as connection:
        assert connection.execute(text("SELECT b FROM a")).scalar() == 1
    engine.dispose()


def test_what_is_mounted_is_not_known_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "MOUNTS", tmp_path / "nothing")
    assert network_of(tmp_path / "a.db") == ""
