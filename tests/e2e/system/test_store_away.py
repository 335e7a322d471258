"""PostgreSQL stops while pages are open: a banner, no lost work, no reload."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.builders.scenes import Puppet, add_project, card, start_run
from tests.drivers.servers.postgresql import PostgresServer, postgres_server
from tests.drivers.servers.processes import RunyardServer
from tests.drivers.web.visibility import barriers
from tests.e2e.conftest import Consoles

PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that the test may stop."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def settings(postgres: PostgresServer) -> dict[str, str]:
    """Settings that store the server's rows in that PostgreSQL."""
    return {"RUNYARD_DATABASE_URL": postgres.create("shop")}


def test_f45_a_stopped_postgresql_is_shown_on_every_page_and_taken_back_without_a_reload(
    tab: Page,
    server: RunyardServer,
    postgres: PostgresServer,
    tmp_path: Path,
    consoles: Consoles,
) -> None:
    page, puppet = tab, Puppet(tmp_path / "agent")
    project = add_project(server, tmp_path, puppet.argv)
    run_id = start_run(server, project)
    page.goto(server.url)
    expect(card(page, project)).to_contain_text("Running")
    page.evaluate("window.isTheSamePage = true")
    banner = page.get_by_test_id("stores-banner")
    expect(banner).to_have_count(0)

    consoles.expect("503")
    postgres.stop()
    expect(banner).to_contain_text("The database does not answer", timeout=PATIENCE_MS)
    expect(banner).to_contain_text("Agents keep running.")
    assert barriers(page) == []
    puppet.tell_to_deliver()
    # a page opened now shows the error, and loads by itself when the database is back
    other = page.context.new_page()
    other.goto(f"{server.url}/projects/{project}")
    expect(other.get_by_role("main")).to_contain_text("The database did not answer.")

    postgres.start()
    expect(banner).to_have_count(0, timeout=PATIENCE_MS)
    # the run that ended during the outage is shown
    expect(card(page, project)).to_contain_text("Succeeded", timeout=PATIENCE_MS)
    assert page.evaluate("window.isTheSamePage")
    expect(other).to_have_title(re.compile("shop"), timeout=PATIENCE_MS)
    with server.client() as client:
        assert client.get(f"/runs/{run_id}").json()["status"] == "succeeded"
