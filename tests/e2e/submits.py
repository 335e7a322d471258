"""What the stories about the form share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page

from tests.servers import ROOT, RunyardServer

SCREENS = ROOT / "test-results" / "screens"
IS_DRAWN = "() => window.socket?.connected && window.did_handshake"
START = "POST /api/v1/runs"
# how long a call takes whose waiting must be seen, by a busy browser too
SEEN_SECONDS = 5.0
# every state of the list from now on: how many rows it had, and how many of them `Submitting…`
WATCH_ROWS = """() => {
  window.seenRows = [];
  const look = () => {
    const rows = [...document.querySelectorAll("[data-testid=run-row]")];
    const open = rows.filter((row) => row.dataset.status === "submitting").length;
    window.seenRows.push([rows.length, open]);
  };
  look();
  new MutationObserver(look).observe(document.querySelector("[data-testid=runs-table]"),
    {subtree: true, childList: true, attributes: true});
}"""


class FaultFile:
    """What happens to the calls of the server's own pages, from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.clear()

    @property
    def settings(self) -> dict[str, str]:
        """What a server under test must be started with."""
        return {"RUNYARD_TEST": "1", "RUNYARD_TEST_FAULTS": str(self._path)}

    def set(self, rules: dict[str, dict[str, Any]]) -> None:
        """`{"METHOD /path": {"delay_seconds": …, "status": …, "drop": …}}`."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(rules))
        fresh.replace(self._path)

    def clear(self) -> None:
        """No more faults."""
        self.set({})


def open_form(page: Page, server: RunyardServer, project_id: str, query: str = "") -> None:
    """Open the form anew and wait until its browser and its server know of each other."""
    page.goto(f"{server.url}/projects/{project_id}/run{query}")
    page.wait_for_function(IS_DRAWN)
    page.wait_for_function("() => sessionStorage.getItem(`runyard_form:${location.pathname}`)")


def open_list(page: Page, server: RunyardServer) -> Page:
    """The list of runs in another tab of the same browser."""
    other = page.context.new_page()
    other.goto(f"{server.url}/runs")
    other.wait_for_function(IS_DRAWN)
    other.evaluate(WATCH_ROWS)
    return other


def rows_seen(page: Page) -> list[tuple[int, int]]:
    """Each state that the watched list had: its rows, and those of them being submitted."""
    return [(rows, open_) for rows, open_ in page.evaluate("window.seenRows")]


def row(page: Page, run_id: str) -> Locator:
    """A run's row."""
    return page.locator(f"[data-testid=run-row][data-run='{run_id}']")


def key_of(page: Page) -> str:
    """The form's key."""
    return page.locator("[data-draft-key]").get_attribute("data-draft-key") or ""


def runs_of(server: RunyardServer, project_id: str) -> list[dict[str, Any]]:
    """The project's runs, newest first."""
    with server.client() as client:
        return client.get("/runs", params={"project_id": project_id}).json()["items"]


def stop_runs(server: RunyardServer, project_id: str) -> None:
    """Stop every run of a project."""
    with server.client() as client:
        for run in client.get("/runs", params={"project_id": project_id}).json()["items"]:
            if run["phase"] != "done":
                client.post(f"/runs/{run['id']}/stop")


def picture(page: Page, name: str) -> None:
    """Save what a person sees, for the records."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"{name}.png", full_page=True, animations="disabled")


def grave_findings(page: Page, within: str | None = None) -> list[str]:
    """What axe-core calls serious or critical on the page as it is now, or in a part of it."""
    found = Axe().run(page, context=within).response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
