"""Backups, restored on another machine and on the same one."""

from __future__ import annotations

import json
import shutil
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp

import pytest

from app.backup.places import CannotKeep
from app.backup.restore import Restored
from app.config import Settings
from app.control_plane.storage import back_up, put_back, restore_into
from app.records.database.migration import HEAD
from app.records.database.sqlite_files import DatabaseDamaged
from app.server.startup import CannotStart, only_server, prepare_folders
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import COMMIT, real_plane

FAIL = f"{COMMIT}; exit 3"
# always SQLite, whatever database the other tests use
IN_A_FILE = {"database_url": None}


def settings_of(folder: Path) -> Settings:
    """Return the settings of an unused data folder."""
    settings = Settings(data_dir=folder)
    prepare_folders(settings)
    return settings


def count(database: Path, table: str) -> int:
    """Return the number of rows in a table."""
    with closing(sqlite3.connect(database)) as opened:
        return int(opened.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608


@pytest.fixture
def worked(tmp_path: Path) -> Path:
    """A backup with one run that died with a commit; its origin is deleted."""
    with real_plane(tmp_path / "old", **IN_A_FILE) as plane:
        project = plane.add_project(FAIL)
        run = plane.finish(project)
        assert run.parked
        (plane.settings.data_root / "runyard.toml").write_text("run_quota = 7\n")
        made = back_up(plane.settings, tmp_path / "backup.zip")
        shutil.rmtree(project.origin)
    shutil.rmtree(tmp_path / "old" / "data" / "runs")
    return made.file


def restored(folder: Path, backup: Path) -> Restored:
    """Restore a backup into a new data folder."""
    return put_back(settings_of(folder), backup, trusts_settings=True)


def test_a_backup_is_private_whole_and_says_what_is_not_in_it(tmp_path: Path) -> None:
    with real_plane(tmp_path, **IN_A_FILE) as plane:
        run = plane.finish(plane.add_project(FAIL))
        made = back_up(plane.settings, None)
    assert made.file.parent == plane.settings.data_root / "backups"
    assert made.file.stat().st_mode & 0o777 == 0o600
    assert list(made.file.parent.iterdir()) == [made.file]
    assert {"runyard.db", "token", "server", f"mirrors/{run.project_id}.bundle"} <= set(made.parts)
    assert made.schema == HEAD
    assert made.left_out[0] == "logs of runs: 1"
    with zipfile.ZipFile(made.file) as archive:
        assert archive.testzip() is None


def test_a_backup_never_takes_another_files_place(worked: Path, tmp_path: Path) -> None:
    with pytest.raises(CannotKeep, match="is there already"):
        back_up(Settings(data_dir=tmp_path / "old" / "data"), worked)


def test_rows_secrets_settings_and_branches_come_back_on_another_machine(
    worked: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old" / "data"
    done = restored(tmp_path / "new" / "data", worked)
    new = tmp_path / "new" / "data"
    assert (done.aside, done.branches, done.schema) == (None, 1, HEAD)
    for name in ("server", "runyard.toml"):
        assert (new / name).read_text() == (old / name).read_text()
    for table in ("runs", "run_events", "project"):
        assert count(new / "runyard.db", table) == count(old / "runyard.db", table)
    with real_plane(tmp_path / "new", **IN_A_FILE) as plane:
        run = plane.run(plane.rows()[0])
        assert run.parked
        assert plane.tip(run) not in (None, run.base_sha)
        assert "new.txt" in plane.services.listing.diff(run).text


def test_what_was_there_is_kept_beside_and_copies_stay_where_they_are(tmp_path: Path) -> None:
    with real_plane(tmp_path, **IN_A_FILE) as plane:
        made = back_up(plane.settings, tmp_path / "backup.zip")
        run = plane.finish(plane.add_project(FAIL))
    done = put_back(plane.settings, made.file)
    assert done.aside is not None
    assert done.aside.parent == plane.settings.data_root
    assert count(done.aside / "runyard.db", "runs") == 1
    assert count(plane.settings.data_root / "runyard.db", "runs") == 0
    assert (plane.settings.runs_root / "records" / run.id).is_dir()


def test_a_run_whose_process_is_gone_ends_without_a_strike(tmp_path: Path) -> None:
    with real_plane(tmp_path / "old", **IN_A_FILE) as plane:
        project = plane.add_project("sleep 60")
        run = plane.start_running_issue(project)
        made = back_up(plane.settings, tmp_path / "backup.zip")
    restored(tmp_path / "new" / "data", made.file)
    with real_plane(tmp_path / "new", **IN_A_FILE) as plane:
        plane.recover_once()
        plane.rest()
        ended = plane.run(run.id)
        assert (ended.status, ended.cause, ended.is_strike) == ("died", "session_gone", False)
        assert plane.project(run.project_id).strikes == 0


def test_nothing_is_restored_under_a_running_server(worked: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    with only_server(settings), pytest.raises(CannotStart, match="another Runyard"):
        put_back(settings, worked)


def changed(backup: Path, name: str, text: bytes) -> Path:
    """Return a copy of a backup with one part replaced."""
    other = Path(mkdtemp(dir=backup.parent)) / backup.name
    with zipfile.ZipFile(backup) as old, zipfile.ZipFile(other, "w") as new:
        for entry in old.namelist():
            if entry != name:
                new.writestr(entry, old.read(entry))
        new.writestr(name, text)
    return other


def with_manifest(backup: Path, **facts: object) -> Path:
    """Return a copy of a backup with changed facts in its manifest."""
    with zipfile.ZipFile(backup) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    return changed(backup, "manifest.json", json.dumps({**manifest, **facts}).encode())


def newer(backup: Path, folder: Path) -> Path:
    """Return a backup's database with the schema version of a newer program."""
    file = folder / "newer.db"
    with zipfile.ZipFile(backup) as archive:
        file.write_bytes(archive.read("runyard.db"))
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    return file


def flipped(backup: Path, folder: Path) -> Path:
    """Return a backup's database with 12 KB in the middle zeroed."""
    file = folder / "flipped.db"
    with zipfile.ZipFile(backup) as archive:
        content = bytearray(archive.read("runyard.db"))
    content[8192:20480] = bytes(12288)
    file.write_bytes(content)
    return file


def cut(backup: Path) -> Path:
    """Return the first half of a backup."""
    half = backup.with_name("half.zip")
    half.write_bytes(backup.read_bytes()[: backup.stat().st_size // 2])
    return half


def test_a_backup_that_is_not_sound_replaces_nothing(worked: Path, tmp_path: Path) -> None:
    data = tmp_path / "old" / "data"
    settings = Settings(data_dir=data)
    before = (data / "runyard.db").read_bytes()
    bad = {
        "was changed since": changed(worked, "token", b"x" * 44),
        "does not match its own list of contents": changed(worked, "../evil", b"x"),
        "holds what no backup has": with_manifest(worked, parts={"../evil": {}}),
        "newer Runyard": with_manifest(worked, format=99),
        "or not all of it": cut(worked),
        "knows schemas up to": newer(worked, tmp_path),
        "damaged": flipped(worked, tmp_path),
        "There is no backup": tmp_path / "nowhere.zip",
    }
    for words, file in bad.items():
        with pytest.raises((CannotKeep, DatabaseDamaged), match=words):
            restore_into(settings, file)
    assert (data / "runyard.db").read_bytes() == before
    assert not list(data.glob("before-restore*"))
    assert not list(data.glob(".restore-*"))


def test_a_copy_that_an_upgrade_made_can_be_restored(worked: Path, tmp_path: Path) -> None:
    copy = tmp_path / "before.db"
    with zipfile.ZipFile(worked) as archive:
        copy.write_bytes(archive.read("runyard.db"))
    done = restored(tmp_path / "data", copy)
    assert (done.schema, done.branches) == (HEAD, 0)
    assert count(tmp_path / "data" / "runyard.db", "runs") == 1


def test_a_restore_that_is_killed_can_be_done_again(worked: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "old" / "data")
    fail_at("restore.after_aside")
    with pytest.raises(Exception, match=r"restore\.after_aside"):
        restore_into(settings, worked)
    clear_failpoints()
    assert not (settings.data_root / "runyard.db").exists()
    restore_into(settings, worked)
    assert count(settings.data_root / "runyard.db", "runs") == 1


def test_there_is_nothing_to_back_up_where_no_server_was(tmp_path: Path) -> None:
    with pytest.raises(CannotKeep, match="nothing to back up"):
        back_up(settings_of(tmp_path / "data"), None)


def test_the_token_of_this_very_server_stays_what_it_was(worked: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "old" / "data")
    token = (settings.data_root / "token").read_text()
    assert not put_back(settings, worked).is_foreign
    assert (settings.data_root / "token").read_text() == token
