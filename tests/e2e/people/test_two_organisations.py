"""Three people of two organisations at once: work done together, and nothing of it seen beyond."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page, WebSocket, expect

from tests.builders.scenes import (
    Puppet,
    add_project,
    card,
    wait_for_run_page,
    wait_until,
    wait_until_released,
)
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.e2e.conftest import Consoles
from tests.e2e.people.conftest import Join
from tests.e2e.people.test_own_account import sign_in

NAME = "tax-engine"
TASK = "Round tax per line"
# what somebody of another organisation may ask for
LISTS = (
    "projects?include_archived=true",
    "runs",
    "inbox",
    "approvals?state=all",
    "parked",
    "batches",
)
ASK = """async (path) => {
  const answer = await fetch(`/api/v1/${path}`);
  return [answer.status, await answer.json()];
}"""


class Overheard:
    """Everything that the server sends to a browser over its sockets."""

    def __init__(self, page: Page) -> None:
        self.text = ""
        page.on("websocket", self._follow)

    def _follow(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._keep)

    def _keep(self, frame: str | bytes) -> None:
        self.text += frame if isinstance(frame, str) else frame.decode("utf-8", "replace")


def ask(page: Page, path: str) -> tuple[int, Any]:
    """Ask the API from a page; return the status and the answer."""
    status, answer = page.evaluate(ASK, path)
    return status, answer


def expect_nothing_known(page: Page, server: RunyardServer, project: str, run: str) -> None:
    """Check lists, counts, pages and streams of somebody of the other organisation."""
    for path in LISTS:
        status, found = ask(page, path)
        assert (status, found["items"]) == (200, []), path
    system = ask(page, "system")[1]
    assert system["live_runs"] in (0, None)
    assert system["inbox"]["attention"] == system["inbox"]["review"] == 0
    for path in (f"projects/{project}", f"runs/{run}", f"runs/{run}/log"):
        assert ask(page, path)[0] == 404, path
    for path in ("/", "/projects", "/runs", "/issues", "/approvals"):
        page.goto(f"{server.url}{path}")
        expect(page.get_by_test_id("live-badge")).to_have_text("Live")
        text = page.locator("body").inner_text()
        assert NAME not in text, path
        assert TASK not in text, path
        assert "1 live" not in text, path
    page.goto(f"{server.url}/runs/{run}")
    expect(page.get_by_role("heading", name="Not here")).to_be_visible()


def test_two_work_together_and_a_third_of_another_organisation_sees_nothing_of_it(
    join: Join, server: RunyardServer, consoles: Consoles, tmp_path: Path
) -> None:
    consoles.expect("401|403|404|WebSocket")
    with server.client() as api:
        assert api.post("/organisations", json={"name": "north"}).status_code == 201
    otto = join("otto@south.org", role="operator", name="Otto")
    uma = join("uma@south.org", role="user", name="Uma")
    nils = join("nils@north.org", role="admin", name="Nils", organisation="north")
    overheard = Overheard(nils)
    nils.goto(f"{server.url}/runs")
    expect(nils.get_by_test_id("live-badge")).to_have_text("Live")
    puppet = Puppet(tmp_path / "agent")
    project = add_project(server, tmp_path, puppet.argv, name=NAME)
    otto.goto(f"{server.url}/runs")

    # the user starts a run, and the operator sees it live
    uma.goto(f"{server.url}/projects/{project}/run")
    uma.get_by_test_id("task").fill(TASK)
    uma.get_by_test_id("run-submit").click()
    run = wait_for_run_page(uma)
    row = otto.get_by_test_id("run-row").filter(has_text=TASK)
    expect(row).to_have_attribute("data-status", "running")
    row.get_by_role("link").first.click()
    expect(otto.get_by_test_id("run-status")).to_contain_text("Running")
    puppet.tell("say rounding in ledger/tax.py")
    for page in (uma, otto):
        expect(page.get_by_test_id("run-log")).to_contain_text("rounding in ledger/tax.py")
    expect_nothing_known(nils, server, project, run)

    # before it delivers, the project asks for a second person
    with server.client() as api:
        api.patch(f"/projects/{project}", json={"approve_merge": 1}).raise_for_status()
    puppet.tell_to_deliver()
    change = wait_until(server, run, status="succeeded")["delivery"]
    wait_until_released(server, run)
    with server.client() as api:
        wait_for(api, "/approvals", lambda found: found["items"])
        [mine] = [one for one in api.get("/people").json()["items"] if one["name"] == "Uma"]
    uma.goto(f"{server.url}{change['url']}")
    expect(uma.get_by_test_id("change-header")).to_be_visible()
    for control in ("change-merge", "change-close", "approve"):
        expect(uma.get_by_test_id(control).filter(visible=True)).to_have_count(0)

    # the role is raised: her sessions end, and from the next page the controls are there
    with server.client() as api:
        raised = api.patch(f"/people/{mine['id']}", json={"role": "operator"})
        assert raised.status_code == 200, raised.text
    sign_in(uma, server, "uma@south.org")
    expect(card(uma, project).get_by_test_id("auto-toggle")).to_be_visible()
    uma.goto(f"{server.url}{change['url']}")
    merge = uma.get_by_test_id("change-merge").first
    expect(merge).to_have_attribute("aria-disabled", "true")
    # her own run is approved by somebody else
    uma.get_by_test_id("approve").click()
    expect(uma.get_by_test_id("approval-error")).to_be_visible()
    otto.goto(f"{server.url}/approvals")
    otto.get_by_test_id("approval-row").get_by_test_id("approve").click()
    expect(otto.get_by_test_id("approvals-none")).to_be_visible()
    expect(merge).to_have_attribute("aria-disabled", "false")
    merge.click()
    uma.get_by_test_id("merge-confirm").click()
    expect(uma.get_by_test_id("change-state")).to_have_text("Merged")

    expect_nothing_known(nils, server, project, run)
    nils.goto(f"{server.url}/me")
    nils.get_by_test_id("me-save-name").click()
    expect(nils.get_by_test_id("toast")).to_be_visible()
    assert "Your name was changed." in overheard.text, "his own is told to him"
    for word in (project, run, NAME, TASK, "rounding in ledger", "Otto", "Uma"):
        assert word not in overheard.text, word
