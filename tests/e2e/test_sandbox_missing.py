"""A machine that can surround agents with nothing, until it can."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import FAST, Consoles
from tests.e2e.test_sandbox_levels import choose, fill_new_project
from tests.repositories import make_origin
from tests.servers import RunyardServer, running_server

# what the server and its agents call, and nothing that makes a namespace
PROGRAMS = ("git", "sh", "bash", "env", "true", "cat", "ssh")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunyardServer]:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in PROGRAMS:
        if path := shutil.which(name):
            (programs / name).symlink_to(path)
    with running_server(tmp_path / "data", **FAST, PATH=str(programs)) as running:
        yield running


def test_where_agents_cannot_be_contained_somebody_has_to_say_so_first(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    expect(page.get_by_text("Its agent will run unsandboxed.")).to_be_visible()
    page.goto(f"{server.url}/projects/add")
    fill_new_project(page, make_origin(tmp_path / "bare"))
    expect(page.locator(".hint.stop")).to_contain_text("bubblewrap")
    page.get_by_test_id("project-submit").click()
    expect(page.get_by_test_id("field-error")).to_contain_text("apt install bubblewrap")
    choose(page, "project-sandbox", "Unsandboxed")
    page.get_by_test_id("project-submit").click()
    page.wait_for_url("**/projects/proj_*")
    expect(page.get_by_test_id("unsandboxed")).to_have_text("Unsandboxed")


def test_what_nobody_chose_is_contained_once_the_machine_can_and_undo_takes_it_back(
    signed_in: Page, server: RunyardServer, consoles: Consoles
) -> None:
    page = signed_in
    with server.client() as api:
        first, second = (api.post("/demo-project").json()["id"] for _ in range(2))
    page.goto(server.url)
    one, other = (page.locator(f"[data-project={project}]") for project in (first, second))
    expect(one.get_by_test_id("unsandboxed")).to_be_visible()

    consoles.expect("ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|WebSocket")
    server.stop()
    server.settings["PATH"] = os.environ["PATH"]
    server.start()
    page.goto(server.url)
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
