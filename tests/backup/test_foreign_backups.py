"""Backups from a stranger: contents are shown or refused, and grant no access."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.backup.places import CannotKeep
from app.backup.trust import SettingsUntrusted
from app.config import Settings
from app.control_plane.storage import back_up, put_back, restore_into
from app.records.tables import Device
from app.server.startup import prepare_folders
from tests.drivers.planes import real_plane

IN_A_FILE = {"database_url": None}


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A stranger's backup with the auto loop on and a person signed in."""
    with real_plane(tmp_path / "theirs", **IN_A_FILE) as plane:
        project = plane.add_project()
        plane.ledgers.projects.change(project.id, auto_enabled=True)
        link = plane.services.accounts.make_link_token(plane.clock())
        assert plane.services.accounts.sign_in(link, plane.clock()) is not None
        phone = Device(
            id="device_1",
            person_id=plane.person,
            name="phone",
            endpoint="https://push.example.org/1",
            p256dh="",
            auth="",
            created_at=plane.clock(),
        )
        with plane.database.transaction() as tx:
            tx.add(phone)
        return back_up(plane.settings, tmp_path / "theirs.zip").file


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    """Settings of an unused data folder."""
    settings = Settings(data_dir=tmp_path / "here")
    prepare_folders(settings)
    return settings


def repacked(backup: Path, change: Callable[[dict[str, bytes]], None], **listed: Any) -> Path:
    """Return a copy with other parts and a matching manifest; `listed` goes into each entry."""
    with zipfile.ZipFile(backup) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(parts.pop("manifest.json"))
    change(parts)
    manifest["parts"] = {
        name: {"bytes": len(part), "sha256": hashlib.sha256(part).hexdigest(), **listed}
        for name, part in parts.items()
    }
    other = backup.with_name("other.zip")
    with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as new:
        for name, part in {"manifest.json": json.dumps(manifest).encode(), **parts}.items():
            new.writestr(name, part)
    return other


def with_settings(backup: Path, text: str) -> Path:
    return repacked(backup, lambda parts: parts.update({"runyard.toml": text.encode()}))


def with_statement(backup: Path, statement: str) -> Path:
    def change(parts: dict[str, bytes]) -> None:
        file = backup.with_name("changed.db")
        file.write_bytes(parts["runyard.db"])
        with closing(sqlite3.connect(file)) as opened, opened:
            opened.execute("PRAGMA journal_mode = DELETE")
            opened.execute(statement)
        parts["runyard.db"] = file.read_bytes()

    return repacked(backup, change)


def ask(settings: Settings, query: str) -> list[Any]:
    with closing(sqlite3.connect(settings.data_root / "runyard.db")) as opened:
        return opened.execute(query).fetchall()


def test_its_settings_are_shown_without_secrets_and_not_taken_unasked(
    theirs: Path, here: Settings
) -> None:
    text = (
        'run_quota = 7\nnotify_urls = ["json://u:p@evil.example"]\n"a\\u001b[2J" = "x\\u001b]0;"\n'
    )
    file = with_settings(theirs, text)
    with pytest.raises(SettingsUntrusted, match="--trust-settings") as refused:
        put_back(here, file)
    assert refused.value.settings[:2] == ["run_quota = 7", "notify_urls = (not shown)"]
    assert "\x1b" not in str(refused.value)
    assert not (here.data_root / "runyard.db").exists()


def test_settings_that_were_agreed_to_are_taken(theirs: Path, here: Settings) -> None:
    file = with_settings(theirs, "run_quota = 7\n")
    put_back(here, file, trusts_settings=True)
    assert (here.data_root / "runyard.toml").read_text() == "run_quota = 7\n"


@pytest.mark.parametrize("setting", ["database_url", "runs_dir"])
def test_no_place_outside_the_data_folder_is_taken_from_a_backup(
    theirs: Path, here: Settings, tmp_path: Path, setting: str
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    where = f"sqlite:///{precious}" if setting == "database_url" else str(precious)
    file = with_settings(theirs, f'{setting} = "{where}"\n')
    with pytest.raises(CannotKeep, match="outside the data folder"):
        put_back(here, file, trusts_settings=True)
    assert precious.read_text() == "mine"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER planted AFTER INSERT ON runs BEGIN DELETE FROM session; END",
        "CREATE VIEW planted AS SELECT * FROM session",
        "CREATE TABLE planted (id INTEGER)",
    ],
)
def test_a_database_with_code_of_a_strangers_is_refused(
    theirs: Path, here: Settings, statement: str
) -> None:
    with pytest.raises(CannotKeep, match="not Runyard's"):
        put_back(here, with_statement(theirs, statement))
    assert not (here.data_root / "runyard.db").exists()


def test_a_guard_of_ours_that_is_gone_or_has_other_words_is_refused(
    theirs: Path, here: Settings
) -> None:
    theirs = with_statement(theirs, "DROP TRIGGER audit_is_kept")
    with pytest.raises(CannotKeep, match="lacks a guard"):
        restore_into(here, theirs)
    planted = "CREATE TRIGGER audit_is_kept AFTER INSERT ON runs BEGIN SELECT 1; END"
    with pytest.raises(CannotKeep, match="trigger that is not Runyard's"):
        restore_into(here, with_statement(theirs, planted))


def test_a_strangers_token_session_and_switched_on_loop_stay_behind(
    theirs: Path, here: Settings
) -> None:
    with zipfile.ZipFile(theirs) as archive:
        token = archive.read("token")
    done = put_back(here, theirs)
    assert done.is_foreign
    assert done.switched_off == [one for (one,) in ask(here, "SELECT id FROM project")]
    assert ask(here, "SELECT count(*) FROM session") == [(0,)]
    assert ask(here, "SELECT count(*) FROM login_link") == [(0,)]
    assert ask(here, "SELECT count(*) FROM device") == [(0,)]
    assert ask(here, "SELECT DISTINCT auto_enabled FROM project") == [(0,)]
    own = here.data_root / "token"
    assert not own.exists() or own.read_bytes() != token


@pytest.mark.parametrize("size", [-5, -1, True, "12", 1.5, None, 10**400])
def test_a_list_with_an_impossible_size_is_refused(
    theirs: Path, here: Settings, size: object
) -> None:
    with pytest.raises(CannotKeep, match="does not match its own list of contents"):
        put_back(here, repacked(theirs, lambda _: None, bytes=size))


def test_a_backup_that_unpacks_to_far_more_than_itself_is_refused(
    theirs: Path, here: Settings
) -> None:
    bomb = repacked(theirs, lambda parts: parts.update({"runyard.db": bytes(200_000_000)}))
    assert bomb.stat().st_size < 1_000_000
    with pytest.raises(CannotKeep, match="which no backup of its size does"):
        put_back(here, bomb)


def test_a_part_that_is_packed_in_another_way_is_refused(theirs: Path, here: Settings) -> None:
    other = theirs.with_name("bzip2.zip")
    with (
        zipfile.ZipFile(theirs) as archive,
        zipfile.ZipFile(other, "w", zipfile.ZIP_BZIP2) as new,
    ):
        for name in archive.namelist():
            new.writestr(name, archive.read(name))
    with pytest.raises(CannotKeep, match="does not match its own list of contents"):
        put_back(here, other)
