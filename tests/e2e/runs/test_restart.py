"""A server killed while an agent works and its page is open."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.builders.repositories import run_git
from tests.builders.scenes import Puppet, add_project, start_run
from tests.drivers.servers.processes import RunyardServer, fresh_server
from tests.e2e.conftest import Consoles


@pytest.fixture(scope="module")
def begin() -> Callable[..., AbstractContextManager[RunyardServer]]:
    return fresh_server


def test_a_killed_server_loses_neither_the_run_nor_the_page(
    signed_in: Page, server: RunyardServer, tmp_path: Path, consoles: Consoles
) -> None:
    page, puppet = signed_in, Puppet(tmp_path / "agent")
    project = add_project(server, tmp_path, puppet.argv)
    run_id = start_run(server, project)
    page.goto(f"{server.url}/runs/{run_id}")
    log = page.get_by_test_id("run-log")
    puppet.tell("say before the crash")
    expect(log).to_contain_text("before the crash")

    consoles.expect("ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|WebSocket")
    server.kill()
    badge = page.get_by_test_id("live-badge")
    expect(badge).to_have_text("Reconnecting…")
    puppet.tell("say while nobody listened")
    server.start()
    expect(badge).to_have_text("Live")
    expect(page.get_by_test_id("run-status")).to_contain_text("Running")
    puppet.tell("say after the crash")
    for words in ("ready", "before the crash", "while nobody listened", "after the crash"):
        expect(log.get_by_text(words, exact=True)).to_have_count(1)
    puppet.tell_to_deliver("kept.txt", "kept")
    expect(page.get_by_test_id("run-status")).to_contain_text("Succeeded")
    expect(page.get_by_test_id("pr-card")).to_contain_text("#1")
    page.get_by_test_id("merge").click()
    expect(page.get_by_test_id("pr-card")).to_contain_text("Merged")
    assert run_git(tmp_path / "origin", "show", "main:kept.txt") == "kept"
    with server.client() as client:
        assert len(client.get("/runs").json()["items"]) == 1
