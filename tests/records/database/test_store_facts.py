"""Facts about a database: never its password, and no answer reported as such."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.records.database.database import Database
from app.records.database.integrity import find_backup, inspect_database


@pytest.mark.both_databases
def test_a_database_that_answers_tells_its_version_and_its_size(database: Database) -> None:
    facts = inspect_database(database)
    assert facts.trouble == ""
    assert facts.version >= ((3, 35) if database.is_sqlite else (14,))
    assert (facts.size or 0) > 4096


@pytest.mark.both_databases
def test_a_database_that_does_not_answer_is_told_as_such_and_without_its_password(
    tmp_path: Path,
) -> None:
    url = f"postgresql://runyard:secret@/yard?host={tmp_path}"
    database = Database(url, publish=lambda _: None)
    facts = inspect_database(database)
    database.close()
    assert facts.where == f"yard on {tmp_path}"
    assert facts.size is None
    assert "does not answer" in facts.trouble
    assert "secret" not in repr(facts)


def test_the_newest_backup_is_found(tmp_path: Path) -> None:
    assert find_backup(tmp_path) is None
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / "runyard-1.zip").touch()
    found = find_backup(tmp_path)
    assert found is not None
    assert found.name == "runyard-1.zip"
