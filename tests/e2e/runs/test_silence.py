"""A silent agent: a warning on its card, then its run ends as stalled."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.builders.scenes import Puppet, add_project, card, start_run, wait_until_released
from tests.drivers.servers.processes import RunyardServer
from tests.drivers.web.submits import picture
from tests.drivers.web.visibility import barriers

ALLOWED_SECONDS = 8


def test_a_silent_agent_is_shown_on_its_card_and_ended_when_its_time_is_over(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page, puppet = signed_in, Puppet(tmp_path / "agent")
    project = add_project(
        server, tmp_path, puppet.argv, name="still", stall_seconds=ALLOWED_SECONDS
    )
    page.goto(f"{server.url}/projects")
    run_id = start_run(server, project, task="Say nothing")
    warning = card(page, project).get_by_test_id("card-warning")
    expect(warning).to_have_text(re.compile(r"No output for [4-7] s"))
    picture(page, "card-warning")
    assert barriers(page) == []
    page.goto(f"{server.url}/runs/{run_id}")
    expect(page.get_by_test_id("run-status")).to_contain_text("Died")
    why = page.locator(".banner.stop")
    expect(why).to_contain_text(f"The agent made no progress for {ALLOWED_SECONDS} s, since")
    wait_until_released(server, run_id)
    with server.client() as client:
        assert client.get(f"/runs/{run_id}").json()["cause"] == "stalled"
