"""Take the screenshot of docs/images: `python -m tests.e2e.screens_for_docs` (30 s, real runs)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.builders.scenes import add_project, start_run, wait_until
from tests.builders.screens import IS_DRAWN
from tests.drivers.servers.processes import ROOT, RunyardServer, fresh_server
from tests.drivers.web.browsers import WIDE, launch_arguments

IMAGES = ROOT / "docs" / "images"
WORKS = r"""
tell() { printf '\033[2m%s\033[0m %b\n' "$(date +%H:%M:%S)" "$1"; sleep 0.4; }
tell '\033[94m▸ Read\033[0m src/coupons/validate.py'
tell '\033[94m▸ Bash\033[0m pytest -q tests/coupons'
tell '\033[33m........F..\033[0m [100%]'
tell 'The expiry compares naive and aware datetimes. Fixing at the boundary.'
tell '\033[94m▸ Edit\033[0m src/coupons/validate.py  \033[32m+9\033[0m \033[31m−3\033[0m'
tell '\033[94m▸ Bash\033[0m pytest -q'
tell '\033[32m142 passed\033[0m in 8.21s'
case "$RUNYARD_ISSUE" in 4) exec sleep 600;; esac
sleep "$((RUNYARD_ISSUE % 3))"; echo "$RUNYARD_ISSUE" > fixed.txt
git add -A; git commit -qm "Resolve issue $RUNYARD_ISSUE"
"""
FAILS = 'echo "compiling"; sleep "$((RUNYARD_ISSUE % 3 + 1))"; echo "ld: out of ideas"; exit 1'
COUPONS = ("Trim coupon codes", "Log refused coupons", "Explain coupons", "Reject expired coupons")
LEDGER = (
    "Round tax per line",
    "Export the ledger as CSV",
    "Reverse a posting twice",
    "Locale sums",
)
DOCS = ("Describe the webhook", "Fix two dead links", "Show tax on receipts", "Cite the rates")


def shell(script: str) -> list[str]:
    """Return the argv of an agent that runs a shell script."""
    return ["/bin/sh", "-c", script]


def project(server: RunyardServer, folder: Path, name: str, script: str, titles: tuple) -> str:
    """Register a project with an issue for each title; return its id."""
    made = add_project(server, folder / name, shell(script), name=name)
    with server.client() as client:
        for title in titles:
            body = {"title": title, "labels": ["ready-for-agent"]}
            client.post(f"/projects/{made}/issues", json=body).raise_for_status()
    return made


def resolve(server: RunyardServer, project_id: str, issues: range) -> None:
    """Run issues one after another, each to its end."""
    for issue in issues:
        wait_until(server, start_run(server, project_id, issue=issue), phase="done")


def take(page: Page, address: str, name: str) -> None:
    """Save a screenshot of the page at an address."""
    page.goto(address)
    page.wait_for_function(IS_DRAWN)
    page.screenshot(path=IMAGES / name, animations="disabled")


def main() -> None:
    """Start a server, run agents, and take the screenshot."""
    with (
        tempfile.TemporaryDirectory() as name,
        fresh_server(Path(name) / "data", RUNYARD_KILL_GRACE_SECONDS="1") as server,
        sync_playwright() as playwright,
    ):
        folder = Path(name)
        shop = project(server, folder, "checkout-api", WORKS, COUPONS)
        books = project(server, folder, "ledger", FAILS, LEDGER)
        docs = project(server, folder, "docs-site", WORKS, DOCS)
        project(server, folder, "mobile", WORKS, ("Larger tap targets", "Remember the tab"))
        for project_id in (shop, docs, books):
            resolve(server, project_id, range(1, 4))
        running = start_run(server, shop, issue=4)
        wait_until(server, running, status="running")

        page = playwright.chromium.launch(**launch_arguments(playwright.chromium)).new_page(
            viewport=WIDE, color_scheme="light"
        )
        page.goto(server.new_link())
        page.goto(f"{server.url}/runs/{running}")
        expect(page.get_by_test_id("run-log")).to_contain_text("142 passed")
        take(page, f"{server.url}/projects", "projects.png")
        with server.client() as client:
            client.post(f"/runs/{running}/stop", json={})
        wait_until(server, running, phase="done")


if __name__ == "__main__":
    main()
