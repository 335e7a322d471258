"""Red CI of a forge in a browser: shown on the change, and fixed by the agent at a press."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.builders.scenes import expect_no_sideways_scroll
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.fakes.forges.twin import ForgeTwin

COMMITS = "date +%N >> a.txt && git add -A && git commit -qm 'Mend a'"


@pytest.fixture
def page(sign_in: Callable[..., Page]) -> Page:
    return sign_in()


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForgeTwin]:
    """A Gitea with a repository and an issue that is ready."""
    with ForgeTwin(tmp_path_factory.mktemp("forge"), "gitea") as twin:
        twin.add_token("TOKEN_BOT")
        twin.add_repository("acme/shop").write("Add a", "A file.", "ready-for-agent")
        yield twin


def delivered(client: httpx.Client, twin: ForgeTwin) -> str:
    """Add the forge and its project, run its issue, and return the path of the change."""
    client.post("/forges", json={"url": twin.url, "token": "TOKEN_BOT"}).raise_for_status()
    origin = twin.hosted["acme/shop"].clone_url
    agent = {"agent": "script", "agent_command": ["sh", "-c", COMMITS]}
    added = client.post("/projects", json={"origin": origin, "name": "shop", **agent})
    assert added.status_code == 201, added.text
    project = f"/projects/{added.json()['id']}"
    wait_for(client, project, lambda one: one["state"] == "ready")
    client.post(f"{project}/afk/start").raise_for_status()
    found = wait_for(client, f"{project}/changes", lambda one: one["items"])
    return f"{project}/changes/{found['items'][0]['number']}"


def test_red_ci_is_shown_on_the_change_and_the_agent_fixes_it_at_a_press(
    page: Page, server: RunyardServer, twin: ForgeTwin
) -> None:
    shop = twin.hosted["acme/shop"]
    with server.client() as client:
        path = delivered(client, twin)
        head = client.get(path).json()["head_sha"]
        page.goto(f"{server.page_url}{path}")
        expect(page.get_by_test_id("change-ci")).to_be_hidden()
        with twin.guard:
            shop.desk.run_job(head, "build", "failure", "make: *** no rule")
        banner = page.get_by_test_id("change-ci")
        expect(banner).to_contain_text("ci.yml / build (push)")
        expect(page.get_by_test_id("change-header")).to_contain_text("CI failed")
        expect_no_sideways_scroll(page)
        told = client.get(path).json()
        failed = {"state": "failed", "failed": ["ci.yml / build (push)"]}
        assert {name: told["ci"][name] for name in failed} == failed
        first = client.get(f"/runs/{told['run_id']}").json()
        assert first["delivery"]["ci"] == told["ci"]
        # the run that opened it may still be letting go of its branch
        wait_for(client, f"/runs/{told['run_id']}", lambda one: one["released_at"])
        page.get_by_role("button", name="Have the agent fix it").click()
        expect(page.get_by_text("The agent fixes it.")).to_be_visible()
        changed = wait_for(client, path, lambda one: one["head_sha"] != head)
        assert changed["head_sha"] == shop.git.tip(shop.place, changed["branch"])
        wait_for(client, path, lambda one: one["ci"]["state"] == "unknown")
        expect(banner).to_be_hidden()
        with twin.guard:
            shop.desk.report(changed["head_sha"], "ci.yml / build (push)", "success")
        expect(page.get_by_test_id("change-header")).to_contain_text("CI passed")
