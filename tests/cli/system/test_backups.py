"""`runyard backup` and `restore` without a server."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.drivers.cli.shells import Shell


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell whose data folder has a database."""
    shell = Shell(tmp_path_factory.mktemp("used"))
    assert shell.run("login-link").code == 0
    return shell


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder's lock as a running server does."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_a_backup_goes_to_another_folder_and_comes_back(used: Shell, tmp_path: Path) -> None:
    file = tmp_path / "mine.zip"
    with held(used.folder):
        made = used.run("backup", str(file), "--json")
    assert (made.code, made.err) == (0, "")
    assert made.json["file"] == str(file)
    assert made.json["bytes"] == file.stat().st_size
    assert {"runyard.db", "token"} <= set(made.json["parts"])
    (tmp_path / "new").mkdir()
    new = Shell(tmp_path / "new")
    told = new.run("restore", str(file))
    assert told.code == 0, told.err
    assert "Start it: runyard serve" in told.out
    assert "no token taken" in told.out
    assert not (new.folder / "token").exists()


def test_a_backup_without_a_name_is_told_by_its_path_alone(used: Shell) -> None:
    made = used.run("backup")
    assert made.code == 0, made.err
    assert Path(made.out.strip()).parent == used.folder / "backups"
    assert "not in it: " in made.err


def test_a_file_that_is_there_stays_and_a_server_is_not_restored_under(
    used: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "mine.zip"
    file.write_text("mine")
    refused = used.run("backup", str(file))
    assert (refused.code, refused.out) == (1, "")
    assert "is there already" in refused.err
    with held(used.folder):
        refused = used.run("restore", str(file))
    assert (refused.code, refused.out) == (1, "")
    assert "another Runyard already uses" in refused.err
    assert file.read_text() == "mine"
