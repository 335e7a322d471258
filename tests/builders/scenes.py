"""Setup shared by browser tests: projects and runs made through the API, scripted agents."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.builders.repositories import make_origin, run_git
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.fakes.agents.runs import AGENTS

HOSTILE = '";alert(1)//<img src=x onerror=alert(1)>'
LONG = ("a-project-whose-name-is-as-long-as-it-may-be-" * 2)[:80]
NEVER_COMMITS = ["/bin/sh", "-c", "printf '\\033[31mno way\\033[0m\\n'; exit 3"]


class Puppet:
    """An agent that waits for orders: `argv` starts it, `tell` sends orders."""

    def __init__(self, folder: Path) -> None:
        self._fifo = folder / "orders"
        folder.mkdir(parents=True, exist_ok=True)
        os.mkfifo(self._fifo)
        self.argv = [sys.executable, "-I", str(AGENTS / "puppet.py"), str(self._fifo)]

    def tell(self, *orders: str) -> None:
        """Send orders; return once the agent has begun to read them."""
        self._fifo.write_text("".join(f"{order}\n" for order in orders))

    def tell_to_deliver(self, name: str = "made.txt", text: str = "made") -> None:
        """Order it to commit one file and exit with 0."""
        self.tell(f"write {name} {text}", f"commit Add {name}", "say done", "exit 0")


def add_project(
    server: RunyardServer,
    folder: Path,
    argv: list[str],
    *,
    name: str = "shop",
    branches: Iterable[str] = (),
    **more: Any,
) -> str:
    """Register a new repository in `folder`, wait until it is cloned, return the project's id."""
    origin = make_origin(folder / "origin")
    made = "".join(f"create refs/heads/{branch} HEAD\n" for branch in branches)
    run_git(origin, "update-ref", "--stdin", stdin=made)
    order = {"name": name, "origin": str(origin), "agent": "script", "agent_command": argv, **more}
    with server.client() as client:
        answer = client.post("/projects", json=order)
        assert answer.status_code == 201, answer.text
        path = f"/projects/{answer.json()['id']}"
        return wait_for(client, path, lambda project: project["state"] == "ready")["id"]


def start_run(server: RunyardServer, project_id: str, **order: Any) -> str:
    """Start a run through the API and return its id."""
    with server.client() as client:
        answer = client.post("/runs", json={"project_id": project_id, **order})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]


def wait_until(server: RunyardServer, run_id: str, **facts: Any) -> dict[str, Any]:
    """Wait until the run has these values and return it."""
    with server.client() as client:
        return wait_for(
            client,
            f"/runs/{run_id}",
            lambda run: all(run[name] == value for name, value in facts.items()),
        )


def wait_until_released(server: RunyardServer, run_id: str) -> None:
    """Wait until the run is released."""
    with server.client() as client:
        wait_for(client, f"/runs/{run_id}", lambda run: run["released_at"] is not None)


def card(page: Page, project_id: str) -> Locator:
    """Locate a project's card."""
    return page.locator(f"[data-testid=project-card][data-project='{project_id}']")


def field_error(page: Page, mark: str) -> Locator:
    """Locate the error message at a field."""
    return page.locator(".f", has=page.get_by_test_id(mark)).get_by_test_id("field-error")


def expect_no_sideways_scroll(page: Page, width: int = 0) -> None:
    """Check that the page is no wider than its window, or than this `width` given to it."""
    # a phone's window widens with overflowing content, so compare with the requested size
    room = width or (page.viewport_size["width"] if page.viewport_size else 0)
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= room, f"{page.url} is {wide} px wide: {widest(page, room)}"


def widest(page: Page, room: int) -> list[str]:
    """Describe up to five elements that overflow the window."""
    return page.evaluate(
        """(room) => [...document.querySelectorAll('main *')]
          .filter((e) => e.getBoundingClientRect().right > room + 1).slice(0, 5)
          .map((e) => `${e.tagName}.${e.className} ${e.textContent.slice(0, 40)}`)""",
        room,
    )


def stop_here(page: Page) -> None:
    """Stop the run whose page is open, and confirm."""
    stop = page.get_by_test_id("stop-run")
    stop.click()
    expect(stop).to_have_text("Stop now?")
    stop.click()


def wait_for_run_page(page: Page) -> str:
    """Wait until a run's page is open; return the run's id."""
    page.wait_for_url("**/runs/run_*")
    expect(page.get_by_test_id("run-status")).to_be_visible()
    return page.url.rpartition("/")[2]


def tab_to(page: Page, wanted: Locator, presses: int = 40) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(presses):
        if wanted.evaluate("(e) => e === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} cannot be reached with Tab")
