"""`runyard audit`: list, export as JSON lines, verify the hash chain."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from app.config import Settings
from tests.builders.api_samples import AT
from tests.builders.databases import put_database
from tests.drivers.cli.shells import Shell
from tests.fakes.recorded_server import RecordedServer

ROW = {
    "id": 7,
    "at": AT,
    "person": "person_1",
    "who": "Ada",
    "run_id": None,
    "role": "admin",
    "via": "cli",
    "token": "local",
    "address": "127.0.0.1",
    "deed": "merge",
    "object": "proj_1/changes/4",
    "before": {"state": "open"},
    "after": {"state": "merged"},
    "correlation_id": "c",
    "hash": "b" * 64,
    "previous": "a" * 64,
}
COUNT = "SELECT count(*) FROM audit"


def test_deeds_are_listed_as_a_table(shell: Shell, server: RecordedServer) -> None:
    server.on("GET", "/audit", {"items": [ROW], "next_cursor": None})
    ended = shell.run("audit", "list", "--deed", "merge", "--object", "proj_1", "--limit", "5")
    assert (ended.code, ended.err) == (0, "")
    header, line = ended.out.splitlines()
    assert header.split() == ["AT", "BY", "WHO", "ACTION", "OBJECT"]
    assert line.split()[-4:] == ["cli", "Ada", "merge", "proj_1/changes/4"]


def test_an_export_is_one_object_a_line_over_all_pages(
    shell: Shell, server: RecordedServer
) -> None:
    first = {"items": [ROW, ROW | {"id": 6}], "next_cursor": "further"}
    server.on("GET", "/audit", first, {"items": [ROW | {"id": 5}], "next_cursor": None})
    ended = shell.run("audit", "export")
    assert (ended.code, ended.err) == (0, "")
    assert [json.loads(line)["id"] for line in ended.out.splitlines()] == [7, 6, 5]


def test_a_changed_row_is_found_without_a_server(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    put_database(Settings(data_dir=tmp_path))
    assert shell.run("login-link").code == 0
    whole = shell.run("audit", "verify")
    with closing(sqlite3.connect(tmp_path / "runyard.db")) as database, database:
        [rows] = database.execute(COUNT).fetchone()
        assert (whole.code, whole.out) == (0, f"All {rows} rows are unchanged.\n")
        columns = "at, via, deed, object, correlation_id, previous, hash"
        planted = f"'2026-01-01 00:00:00', 'cli', 'merge', 'proj_1', 'c', '{'0' * 64}', 'x'"
        database.execute(f"INSERT INTO audit ({columns}) VALUES ({planted})")  # noqa: S608
    ended = shell.run("audit", "verify")
    assert ended.code == 1
    assert ended.err.startswith("Row 1 breaks the audit's chain: ")
    told = shell.run("audit", "verify", "--json")
    assert (told.code, told.json["fits"]) == (1, False)
