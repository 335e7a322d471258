"""Agents that open their pull requests, in a browser: from the two settings to the merge."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.builders.scenes import expect_no_sideways_scroll, start_run, wait_until_released
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.e2e.runs.test_sandbox_levels import choose
from tests.fakes.agents.runs import script
from tests.fakes.forges.twin import ForgeTwin

TOKEN = "TOKEN_AGENT_0123456789"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForgeTwin]:
    """A Forgejo with an account for Runyard and one for agents, who may both write."""
    with ForgeTwin(tmp_path_factory.mktemp("forge"), "forgejo") as twin:
        twin.add_token("TOKEN_BOT")
        twin.add_token(TOKEN, "robot")
        twin.add_repository("acme/shop", writers=("bot", "robot"))
        yield twin


def test_agents_open_their_pull_requests_once_their_sign_in_is_named(
    signed_in: Page, server: RunyardServer, twin: ForgeTwin, tmp_path: Path
) -> None:
    page, shop = signed_in, twin.hosted["acme/shop"]
    plan = tmp_path / "plan.json"
    request = {"base": "main", "title": "Add a file"}
    api = f"{twin.url}/api/v1/repos/acme/shop"
    told = {"home": twin.url, "api": api, "requests": [request], "told": "/dev/null"}
    plan.write_text(json.dumps(told))
    with server.client() as client:
        assert client.post("/forges", json={"url": twin.url, "token": "TOKEN_BOT"}).is_success
        agent = script("opens_pull_request", plan)
        order = {"origin": shop.clone_url, "agent": "script", "agent_command": agent}
        order |= {"sandbox": "sandboxed", "name": "shop"}
        project = client.post("/projects", json=order).json()["id"]
        wait_for(client, f"/projects/{project}", lambda one: one["state"] == "ready")
    page.goto(f"{server.url}/projects/{project}?tab=settings")
    choose(page, "setting-open_pr", "Agents open them")
    page.get_by_test_id("save-settings").click()
    expect(page.get_by_text("without it agents cannot open pull requests.")).to_be_visible()
    tea = tmp_path / "tea"
    tea.mkdir()
    entry = f"{{name: it, url: '{twin.url}/', token: {TOKEN}, user: robot}}"
    (tea / "config.yml").write_text(f"logins:\n- {entry}\n")
    page.get_by_test_id("setting-pr_sign_in").fill(str(tea))
    page.get_by_test_id("save-settings").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect_no_sideways_scroll(page)
    with server.client() as client:
        assert client.get(f"/projects/{project}").json()["pr_login"] == "robot"
    run = start_run(server, project, task="Add a file")
    wait_until_released(server, run)
    (pull,) = shop.pulls.values()
    assert pull["user"]["login"] == "robot"
    page.goto(f"{server.url}/runs/{run}")
    expect(page.get_by_test_id("run-status")).to_contain_text("Succeeded")
    page.get_by_text(re.compile(r"All \d+ events")).click()
    expect(page.get_by_text("opened by its agent")).to_be_visible()
