"""A damaged, emptied or missing database is refused at start, or no longer written to (F42)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.config import Settings
from app.control_plane import ControlPlane
from app.control_plane.storage import back_up
from app.records.database.sqlite_files import DatabaseDamaged
from app.records.database.write_guard import WritingStopped
from tests.drivers.planes import RealPlane, real_plane
from tests.drivers.servers.processes import ROOT, free_port

IN_A_FILE = {"database_url": None}
PAGE = 4096


def zero_header(file: Path) -> None:
    """Zero the first 100 bytes."""
    with file.open("r+b") as opened:
        opened.write(bytes(100))


def spoil_pages(file: Path) -> None:
    """Overwrite some pages with random bytes."""
    with file.open("r+b") as opened:
        opened.seek(2 * PAGE)
        opened.write(os.urandom(4 * PAGE))


def cut_short(file: Path) -> None:
    """Cut off the second half."""
    os.truncate(file, file.stat().st_size // 2 // PAGE * PAGE)


def empty(file: Path) -> None:
    """Truncate to zero bytes."""
    os.truncate(file, 0)


DAMAGES = (zero_header, spoil_pages, cut_short, empty, Path.unlink)


@pytest.fixture
def used(tmp_path: Path) -> Settings:
    """The settings of a data folder that a server has used, with a backup."""
    with real_plane(tmp_path, **IN_A_FILE) as plane:
        settings = plane.settings
    back_up(settings, None)
    return settings


@pytest.mark.parametrize("damage", DAMAGES)
def test_f42_a_damaged_database_is_refused_at_the_start_and_left_as_it_is(
    damage: Callable[[Path], None], used: Settings
) -> None:
    file = used.data_root / "runyard.db"
    damage(file)
    before = file.read_bytes() if file.exists() else None
    plane = ControlPlane(used)
    with pytest.raises(DatabaseDamaged, match=r"runyard restore /.+/backups/runyard-.+\.zip"):
        plane.migrate()
    plane.stop()
    assert (file.read_bytes() if file.exists() else None) == before


def test_f42_the_program_ends_with_the_sentence(used: Settings) -> None:
    (used.data_root / "runyard.db").unlink()
    words = ["main.py", "serve", "--no-open", "--data-dir", str(used.data_root), "--port"]
    words.append(str(free_port()))
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "no empty database is made in its place" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (used.data_root / "runyard.db").exists()


def test_f42_a_folder_from_before_the_mark_is_known_by_its_work(tmp_path: Path) -> None:
    with real_plane(tmp_path, **IN_A_FILE) as plane:
        plane.add_project()
        settings = plane.settings
    (settings.data_root / "database-made").unlink()
    (settings.data_root / "runyard.db").unlink()
    plane = ControlPlane(settings)
    with pytest.raises(DatabaseDamaged, match="There is no backup in"):
        plane.migrate()
    plane.stop()


def test_an_empty_folder_begins_with_an_empty_database(tmp_path: Path) -> None:
    plane = ControlPlane(Settings(data_dir=tmp_path / "data"))
    plane.migrate()
    plane.stop()
    assert (tmp_path / "data" / "database-made").read_text().endswith("/runyard.db\n")


@pytest.mark.parametrize("damage", DAMAGES)
def test_f42_a_run_store_that_is_damaged_is_refused_and_none_is_made_in_its_place(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    file = tmp_path / "data" / "runs.db"
    apart = IN_A_FILE | {"runs_database_url": f"sqlite:///{file}"}
    with real_plane(tmp_path, **apart) as plane:
        settings = plane.settings
    back_up(settings, None)
    damage(file)
    before = file.read_bytes() if file.exists() else None
    plane = ControlPlane(settings)
    with pytest.raises(DatabaseDamaged, match=rf"{file} is .+runyard restore /.+\.zip"):
        plane.migrate()
    plane.stop()
    assert (file.read_bytes() if file.exists() else None) == before


def test_f42_a_run_store_is_missed_by_a_folder_that_has_never_seen_it(tmp_path: Path) -> None:
    control, file = tmp_path / "control.db", tmp_path / "runs.db"
    urls = {"database_url": f"sqlite:///{control}", "runs_database_url": f"sqlite:///{file}"}
    with real_plane(tmp_path / "first", **urls) as plane:
        settings = plane.settings
    file.unlink()
    plane = ControlPlane(settings.model_copy(update={"data_dir": tmp_path / "second"}))
    with pytest.raises(DatabaseDamaged, match=r"runs\.db is gone"):
        plane.migrate()
    plane.stop()
    assert not file.exists()


def take_away(file: Path) -> None:
    """Move the file away."""
    file.rename(file.with_name("elsewhere.db"))


def spoil_everything(file: Path) -> None:
    """Overwrite all pages but the first with random bytes."""
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(PAGE)
        opened.write(os.urandom(size - PAGE))


@pytest.mark.expects_error_log
@pytest.mark.parametrize("damage", [take_away, spoil_everything, zero_header])
@pytest.mark.parametrize("is_split", [False, True])
def test_f42_a_file_that_is_damaged_under_the_server_is_not_written_to_nor_what_is_beside_it(
    damage: Callable[[Path], None], is_split: bool, tmp_path: Path
) -> None:
    file = tmp_path / "data" / ("runs.db" if is_split else "runyard.db")
    apart = {"runs_database_url": f"sqlite:///{file}"} if is_split else {}
    with real_plane(tmp_path, **IN_A_FILE, **apart) as plane:
        back_up(plane.settings, None)
        project = plane.add_project()
        for database in plane.stores.all():
            database.close()  # drop cached pages and connections, so that the damage is seen
        damage(file)
        before = file.read_bytes() if file.exists() else None
        stopped = rf"{file} .+: nothing is written any more\. .+runyard restore /.+\.zip"
        with pytest.raises(WritingStopped, match=stopped):
            plane.accept(plane.order(project))
        assert plane.services.store_watch.check_once() == plane.stores.stopped()
        # a write to the other store could contradict this one, so nothing is written at all
        with pytest.raises(WritingStopped, match=stopped):
            write(plane)
        assert (file.read_bytes() if file.exists() else None) == before


def write(plane: RealPlane) -> None:
    """Make a change, as a person would."""
    plane.services.accounts.make_link_token(plane.clock())


@pytest.mark.expects_error_log
def test_f42_a_file_that_is_taken_away_under_those_who_have_it_open_is_not_written_to(
    tmp_path: Path,
) -> None:
    with real_plane(tmp_path, **IN_A_FILE) as plane:
        back_up(plane.settings, None)
        write(plane)
        file = plane.settings.data_root / "runyard.db"
        take_away(file)
        for _ in range(2):
            with pytest.raises(WritingStopped, match=r"was taken away: .*runyard restore /"):
                write(plane)
        assert not file.exists()
