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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunyardServer]:
    """A server whose machine has the usual level's programs nowhere."""
    programs = tmp_path_factory.mktemp("programs")
    for name in PROGRAMS:
        if path := shutil.which(name):
            (programs / name).symlink_to(path)
    data = tmp_path_factory.mktemp("data")
    with running_server(data, **FAST, PATH=str(programs), **USUAL) as running:
        yield running


def test_where_the_usual_level_cannot_be_had_a_person_chooses_another_first(
    server: RunyardServer, tab: Page, tmp_path: Path
) -> None:
    page = tab
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
def test_a_level_never_chosen_becomes_contained_at_the_next_start_and_undo_reverts_it(
    server: RunyardServer, tab: Page, tmp_path: Path
) -> None:
    page = tab
    first, second = (
        add_project(server, tmp_path / name, NEVER_COMMITS, name=name, sandbox="contained")
        for name in ("old", "older")
    )
    server.stop()
    with closing(sqlite3.connect(server.data_dir / "runyard.db")) as database:
        database.execute(
            "update project set sandbox = 'none', sandbox_chosen = 0 where id in (?, ?)",
            (first, second),
        )
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
