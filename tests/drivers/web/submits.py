"""Helpers for tests of the new run form: injected faults, rows and keys."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

from tests.drivers.servers.processes import ROOT, RunyardServer, wait_for

SCREENS = ROOT / "test-results" / "screens"
IS_DRAWN = "() => window.socket?.connected && window.did_handshake"
START = "POST /api/v1/runs"
# the delay of a response whose pending state must be seen, even by a slow browser
SEEN_SECONDS = 5.0
# records each later state of the list: the number of rows, and of rows `Submitting…`
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
    """Faults injected into the pages' API calls while the server runs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._gates: list[Path] = []
        self.clear()

    @property
    def settings(self) -> dict[str, str]:
        """Environment variables that make a server read the faults."""
        return {"RUNYARD_TEST_FAULTS": str(self._path)}

    def set(self, rules: dict[str, dict[str, Any]]) -> None:
        """Replace the faults: `{"METHOD /path": {"delay_seconds": …, "status": …, "drop": …}}`."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(rules, default=str))
        fresh.replace(self._path)

    def gate(self) -> Path:
        """Return a closed gate for a fault's `gate` or `answer_gate`; `touch` opens it."""
        self._gates.append(self._path.with_name(f"gate-{len(self._gates)}"))
        return self._gates[-1]

    def clear(self) -> None:
        """Remove all faults and open all gates."""
        self.set({})
        for gate in self._gates:
            gate.touch()


def open_form(page: Page, server: RunyardServer, project_id: str, query: str = "") -> None:
    """Open the form in a new page load and wait until its connection is up."""
    page.goto(f"{server.url}/projects/{project_id}/run{query}")
    page.wait_for_function(IS_DRAWN)
    page.wait_for_function("() => sessionStorage.getItem(`runyard_form:${location.pathname}`)")


def open_list(page: Page, server: RunyardServer, project_id: str) -> Page:
    """Open the list of the project's runs in another tab, recording its states."""
    other = page.context.new_page()
    other.goto(f"{server.url}/runs?project={project_id}")
    other.wait_for_function(IS_DRAWN)
    other.evaluate(WATCH_ROWS)
    return other


def rows_seen(page: Page) -> list[tuple[int, int]]:
    """Return each recorded state of the list: its rows, and how many are being submitted."""
    return [(rows, open_) for rows, open_ in page.evaluate("window.seenRows")]


def row(page: Page, run_id: str) -> Locator:
    """Locate a run's row."""
    return page.locator(f"[data-testid=run-row][data-run='{run_id}']")


def key_of(page: Page) -> str:
    """Return the form's idempotency key."""
    return page.locator("[data-draft-key]").get_attribute("data-draft-key") or ""


def runs_of(server: RunyardServer, project_id: str) -> list[dict[str, Any]]:
    """Return the project's runs, newest first."""
    with server.client() as client:
        return client.get("/runs", params={"project_id": project_id}).json()["items"]


def stop_runs(server: RunyardServer, project_id: str | None = None) -> None:
    """Stop every open run, or those of one project, and wait until they are released."""
    asked = {"project_id": project_id} if project_id else {}
    with server.client() as client:
        runs = client.get("/runs", params={**asked, "limit": 100}).json()["items"]
        open_runs = [run for run in runs if run["released_at"] is None]
        for run in open_runs:
            if run["phase"] != "done":
                client.post(f"/runs/{run['id']}/stop")
        for run in open_runs:
            wait_for(client, f"/runs/{run['id']}", lambda found: found["released_at"] is not None)


def picture(page: Page, name: str) -> None:
    """Save a screenshot of the whole page in test-results/screens, if they are asked for."""
    if not os.environ.get("RUNYARD_TEST_PICTURES"):
        return
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"{name}.png", full_page=True, animations="disabled")
