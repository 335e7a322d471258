"""A disk that is full at a commit (F38), and power cuts with the log's tail lost (F41)."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.records.database import DatabaseSilent
from app.records.tables import Person
from tests.planes import RealPlane, real_plane

IN_A_FILE = {"database_url": None}
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def add(plane: RealPlane, name: str) -> None:
    """One row, committed."""
    with plane.database.transaction() as tx:
        tx.add(Person(id=name, name=name, created_at=NOON))


def names(file: Path) -> set[str]:
    """Everybody in a database that is sound."""
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {row[0] for row in database.execute("SELECT name FROM person")}


def fill(plane: RealPlane) -> None:
    """More rows than there is room for."""
    for number in range(1000):
        add(plane, f"late{number}-{'x' * 2000}")


def limit_pages(plane: RealPlane, pages: int) -> None:
    """What a full disk is to SQLite: no page more than there are."""
    with plane.database.engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")


def test_f38_a_commit_without_room_fails_loudly_and_works_again_with_it(tmp_path: Path) -> None:
    with real_plane(tmp_path, **IN_A_FILE) as plane:
        limit_pages(plane, 1)
        with pytest.raises(DatabaseSilent, match="full"):
            fill(plane)
        before = names(plane.settings.data_root / "runyard.db")
        assert plane.database.trouble == ""
        limit_pages(plane, 2**30)
        add(plane, "afterwards")
        assert names(plane.settings.data_root / "runyard.db") == before | {"afterwards"}


@pytest.mark.parametrize("seed", range(5))
def test_f41_what_was_committed_is_there_after_a_power_cut(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    with real_plane(tmp_path, **IN_A_FILE) as plane:
        file = plane.settings.data_root / "runyard.db"
        log = file.with_name("runyard.db-wal")
        for number in range(20):
            add(plane, f"person{number}")
            committed = log.stat().st_size
            cut = tmp_path / f"cut{number}"
            cut.mkdir()
            shutil.copy(file, cut / file.name)
            # what was written through is there; of what came after it, any part may be
            torn = log.read_bytes()[:committed] + chance.randbytes(chance.randrange(5000))
            (cut / log.name).write_bytes(torn)
            assert {f"person{n}" for n in range(number + 1)} <= names(cut / file.name)
