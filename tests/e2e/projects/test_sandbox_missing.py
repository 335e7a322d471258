"""A level that the machine does not support, and levels that were never chosen."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.builders.databases import only_on_sqlite
from tests.builders.repositories import make_origin
from tests.builders.scenes import NEVER_COMMITS, add_project
from tests.drivers.servers.processes import RunyardServer, running_server
from tests.e2e.conftest import FAST
from tests.e2e.runs.test_sandbox_levels import choose, fill_new_project

USUAL = {"RUNYARD_SANDBOX": "sandboxed"}
# all programs that the server and its agents call; none of them can create a namespace
PROGRAMS = ("git", "sh", "bash", "env", "true", "cat", "ssh")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunyardServer]:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in PROGRAMS:
        if path := shutil.which(name):
            (programs / name).symlink_to(path)
    with running_server(tmp_path / "data", **FAST, PATH=str(programs), **USUAL) as running:
        yield running


def test_where_the_usual_level_cannot_be_had_somebody_chooses_another_first(
    server: RunyardServer, signed_in: Page, tmp_path: Path
) -> None:
    page = signed_in
    page.goto(f"{server.url}/projects/add")
    fill_new_project(page, make_origin(tmp_path / "bare"))
    expect(page.locator(".hint.stop")).to_contain_text("bubblewrap")
    page.get_by_test_id("project-submit").click()
    expect(page.get_by_test_id("field-error")).to_contain_text("apt install bubblewrap")
    choose(page, "project-sandbox", "Unsandboxed")
    page.get_by_test_id("project-submit").click()
    page.wait_for_url("**/projects/proj_*")
    expect(page.get_by_test_id("unsandboxed")).to_have_text("Unsandboxed")


@only_on_sqlite("it writes into the database's file what an older version left there")
def test_what_nobody_chose_is_contained_from_the_next_start_on_and_undo_takes_it_back(
    server: RunyardServer, signed_in: Page, tmp_path: Path
) -> None:
    page = signed_in
    first, second = (
        add_project(server, tmp_path / name, NEVER_COMMITS, name=name, sandbox="contained")
        for name in ("old", "older")
    )
    # an open page would reload itself and disturb the next one
    page.goto("about:blank")
    server.stop()
    with closing(sqlite3.connect(tmp_path / "data" / "runyard.db")) as database:
        database.execute("update project set sandbox = 'none', sandbox_chosen = 0")
        database.commit()
    server.start()
    page.goto(server.url)
    one, other = (page.locator(f"[data-project={project}]") for project in (first, second))
    words = "This project's agents now run contained. Undo"
    expect(one.get_by_test_id("sandbox-notice")).to_contain_text(words)
    expect(one.get_by_test_id("unsandboxed")).to_have_count(0)
    one.get_by_test_id("sandbox-undo").click()
    expect(one.get_by_test_id("unsandboxed")).to_be_visible()
    expect(one.get_by_test_id("sandbox-notice")).to_have_count(0)
    other.get_by_test_id("sandbox-dismiss").click()
    expect(other.get_by_test_id("sandbox-notice")).to_have_count(0)
    with server.client() as api:
        rows = {row["id"]: row for row in api.get("/projects").json()["items"]}
    assert [rows[project]["sandbox"] for project in (first, second)] == ["none", "contained"]
    assert not any(rows[project]["sandbox_notice"] for project in (first, second))
