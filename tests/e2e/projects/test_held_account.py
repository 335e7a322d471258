"""An account at its usage limit: shown with a countdown, resumed by hand."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.builders.scenes import (
    add_project,
    card,
    expect_no_sideways_scroll,
    start_run,
    wait_for_run_page,
    wait_until,
    wait_until_released,
)
from tests.drivers.servers.processes import RunyardServer, running_server
from tests.drivers.web.visibility import barriers
from tests.e2e.conftest import FAST, is_error

CLAUDE = """#!/bin/sh
if test "${{*#*--resume}}" != "$*"; then
    echo '{{"type":"assistant","message":{{"content":[{{"type":"tool_use","name":"Bash"}}]}}}}'
    exec sleep 60
fi
echo '{{"type":"system","subtype":"init","session_id":"s-1"}}'
echo '{{"type":"rate_limit_event","rate_limit_info":{info}}}'
echo '{{"type":"result","is_error":true,"result":"You have hit your limit"}}'
exit 1
"""
COUNTDOWN = re.compile(r"Usage limit · \d{1,2}:\d\d")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunyardServer]:
    """A server whose claude reports its usage limit until it is resumed."""
    program = tmp_path_factory.mktemp("bin") / "claude"
    info = json.dumps({"status": "rejected", "resetsAt": int(time.time()) + 2400})
    program.write_text(CLAUDE.format(info=info))
    program.chmod(0o755)
    found = {"PATH": f"{program.parent}:/usr/bin:/bin", "ANTHROPIC_API_KEY": "one"}
    with running_server(tmp_path_factory.mktemp("data"), **FAST, **found) as running:
        yield running
    assert not [line for line in running.log.splitlines() if is_error(line)]


def test_a_held_account_is_seen_everywhere_and_tried_by_a_person(
    tab: Page,
    known_browser: BrowserContext,
    server: RunyardServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    page, other = tab, known_browser.new_page()
    other.set_viewport_size({"width": 360, "height": 740})
    folder = tmp_path_factory.mktemp("shop")
    project = add_project(server, folder, [], name="held", agent="claude", agent_command=None)
    run_id = start_run(server, project, task="Repair it")
    page.goto(f"{server.url}/projects")
    # on the card, live, with a countdown
    status = card(page, project).get_by_test_id("card-status")
    expect(status).to_have_text(COUNTDOWN)
    expect(page.get_by_test_id("limit-banner")).to_contain_text("claude reached its usage limit.")
    assert barriers(page) == []
    wait_until_released(server, run_id)
    see_plain(page, server, project)
    # on the quota page, with the agent's message
    other.goto(f"{server.url}/quota")
    hold = other.get_by_test_id("account-hold")
    expect(hold.get_by_test_id("hold-status")).to_have_text(COUNTDOWN)
    expect(hold).to_contain_text("rejected")
    expect(hold).to_contain_text("1 run waiting")
    expect_no_sideways_scroll(other)
    assert barriers(other) == []
    # the new run form shows it, and a submit is refused with the reason
    page.goto(f"{server.url}/projects/{project}/run")
    held = page.get_by_test_id("account-held")
    expect(held).to_contain_text("claude is at its usage limit. Resume now, or lift it")
    expect(held).to_contain_text(COUNTDOWN)
    assert barriers(page) == []
    page.goto(f"{server.url}/projects/{project}/run?agent=codex")
    expect(page.get_by_test_id("agent-picker")).to_contain_text("codex")
    expect(held).to_have_count(0)
    page.get_by_test_id("agent-picker").click()
    page.locator("[data-testid=agent-option][data-agent=claude]").click()
    expect(held).to_be_visible()
    page.get_by_test_id("run-submit").click()
    expect(page.get_by_test_id("form-error")).to_contain_text("usage limit of claude is reached")
    # a person can resume it at once
    page.goto(f"{server.url}/runs/{run_id}")
    expect(page.get_by_test_id("run-status")).to_contain_text("Usage limit")
    page.get_by_test_id("resume-run").click()
    page.wait_for_url(re.compile(f"/runs/(?!{run_id})"))
    resumed = wait_for_run_page(page)
    wait_until(server, resumed, status="running", trigger="resume", retry_of=run_id)
    expect(page.get_by_test_id("run-status")).to_contain_text("Running")
    # the resumed run makes progress, so the hold is lifted
    expect(other.get_by_test_id("account-hold")).to_have_count(0)
    with server.client() as client:
        client.post(f"/runs/{resumed}/stop")
    wait_until_released(server, resumed)


def see_plain(page: Page, server: RunyardServer, project: str) -> None:
    """Check the countdown on the plain page."""
    page.goto(f"{server.url}/plain")
    expect(card(page, project)).to_contain_text(COUNTDOWN)
