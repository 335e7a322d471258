"""Signing in at npm's oidc-provider: another implementation than the one of `make test`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.drivers.servers.processes import RunyardServer, free_port, running_server
from tests.drivers.web.browsers import WIDE, launch_arguments

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
# scripts/install-test-needs puts it here
MODULES = ROOT / "build" / "oidc-provider" / "node_modules"
SCRIPT = Path(__file__).with_name("openid_provider.mjs")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunyardServer]:
    """A server whose people sign in at the provider, and the provider itself."""
    port, own = free_port(), free_port()
    (tmp_path / "node_modules").symlink_to(MODULES)
    script = shutil.copy(SCRIPT, tmp_path)
    beyond = {
        "RUNYARD_OIDC_ISSUER": f"http://localhost:{port}",
        "RUNYARD_OIDC_CLIENT_ID": "runyard",
        "RUNYARD_OIDC_CLIENT_SECRET": "a secret of forty characters, at the very least",
        "RUNYARD_OIDC_GROUPS": "leads=admin",
        "RUNYARD_PAGE_HOST": "localhost",
        "RUNYARD_PORT": str(own),
    }
    with running_server(tmp_path / "data", **beyond) as served:
        back = f"{served.page_url}/login/oidc/callback"
        with subprocess.Popen(
            ["node", str(script), str(port), back],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
        ) as provider:
            assert provider.stdout is not None
            assert provider.stdout.readline(), "the provider did not start"
            try:
                yield served
            finally:
                provider.terminate()


def sign_in(page: Page) -> None:
    """Say there who one is, and that Runyard may know."""
    page.locator("input[name=login]").fill("ada")
    page.locator("input[name=password]").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    consent = page.get_by_role("button", name="Continue")
    if consent.is_visible():
        consent.click()


def test_a_lead_signs_in_and_proves_it_once_more(server: RunyardServer) -> None:
    assert MODULES.is_dir(), "NO OIDC-PROVIDER: scripts/install-test-needs soak fetches it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_arguments(playwright.chromium))
        page = browser.new_context(viewport=WIDE).new_page()
        page.goto(f"{server.page_url}/settings?tab=people")
        page.get_by_test_id("sign-in-provider").click()
        sign_in(page)
        page.wait_for_url("**/settings?tab=people")
        expect(page.get_by_text("ada@example.org").first).to_be_visible()
        # the provider knows the browser by now, and must ask all the same
        page.goto(f"{server.page_url}/login/oidc?again=true&next=/me")
        sign_in(page)
        page.wait_for_url("**/me")
        page.goto(f"{server.page_url}/settings?tab=people")
        page.get_by_test_id("invite-email").fill("grace@example.org")
        page.get_by_test_id("person-invite").click()
        expect(page.get_by_test_id("invite-link")).to_be_visible()
        browser.close()
