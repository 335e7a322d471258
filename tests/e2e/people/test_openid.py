"""Signing in at a provider of OpenID Connect, in a browser, at oidc-provider-mock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from oidc_provider_mock import User, run_server_in_thread
from playwright.sync_api import Page, expect

from tests.builders.databases import only_on_sqlite
from tests.drivers.servers.processes import RunyardServer
from tests.e2e.conftest import Consoles, OpenPage
from tests.e2e.people.conftest import let_sign_ins_age

# the provider's own use of its libraries
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
ADA = User(
    sub="ada",
    claims={"email": "ada@example.org", "email_verified": True, "name": "Ada", "groups": ["leads"]},
)
EVE = User(sub="eve", claims={"email": "eve@example.org", "email_verified": True, "groups": []})


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with run_server_in_thread(require_nonce=True, user_claims=(ADA, EVE)) as served:
        yield f"http://localhost:{served.server_port}"


@pytest.fixture(scope="module")
def settings(provider: str) -> dict[str, str]:
    return {
        "RUNYARD_OIDC_ISSUER": provider,
        "RUNYARD_OIDC_CLIENT_ID": "runyard",
        "RUNYARD_OIDC_CLIENT_SECRET": "a secret",
        "RUNYARD_OIDC_GROUPS": "leads=admin, engineers=user",
    }


def sign_in_as(page: Page, subject: str) -> None:
    """Press the button, and say there who one is."""
    # its pages want a style sheet from elsewhere
    page.route("https://cdn.jsdelivr.net/**", lambda route: route.fulfill(body=""))
    page.get_by_test_id("sign-in-provider").click()
    page.wait_for_url("**/oauth2/authorize?**")
    say_who(page, subject)


def say_who(page: Page, subject: str) -> None:
    """Fill in the provider's form."""
    page.locator("input[name=sub]").fill(subject)
    page.locator("button[type=submit], input[type=submit], form button").first.click()


def invite(page: Page, email: str) -> None:
    page.get_by_test_id("invite-email").fill(email)
    page.get_by_test_id("person-invite").click()


def test_a_lead_signs_in_there_and_invites_somebody(
    open_page: OpenPage, server: RunyardServer, consoles: Consoles
) -> None:
    consoles.expect("status of 40[13]")
    page = open_page(reduced_motion="reduce")
    page.goto(f"{server.page_url}/settings?tab=people")
    sign_in_as(page, "ada")
    page.wait_for_url("**/settings?tab=people")
    page.wait_for_selector(".shell")
    expect(page.get_by_text("ada@example.org").first).to_be_visible()
    invite(page, "grace@example.org")
    # the provider said that she had just signed in there: that is fresh enough
    expect(page.get_by_test_id("invite-link")).to_contain_text("/login/invitation?token=")


@only_on_sqlite("it ages sign-ins in the database's file")
def test_who_has_no_password_signs_in_again_at_the_provider(
    open_page: OpenPage, server: RunyardServer, consoles: Consoles
) -> None:
    consoles.expect("status of 40[13]")
    page = open_page(reduced_motion="reduce")
    page.goto(f"{server.page_url}/settings?tab=people")
    sign_in_as(page, "ada")
    page.wait_for_url("**/settings?tab=people")
    let_sign_ins_age(server)
    invite(page, "mary@example.org")
    dialog = page.get_by_test_id("proof-dialog")
    expect(dialog).to_contain_text("Sign in again at localhost")
    expect(dialog.get_by_test_id("proof-password")).to_have_count(0)
    dialog.get_by_test_id("proof-provider").click()
    page.wait_for_url("**/oauth2/authorize?**")
    say_who(page, "ada")
    page.wait_for_url("**/settings?tab=people")
    invite(page, "mary@example.org")
    expect(page.get_by_test_id("invite-link")).to_contain_text("/login/invitation?token=")


def test_who_is_not_invited_reads_why_and_gets_back(
    open_page: OpenPage, server: RunyardServer, consoles: Consoles
) -> None:
    consoles.expect("status of 40[13]")
    page = open_page()
    page.goto(f"{server.page_url}/login")
    sign_in_as(page, "eve")
    expect(page.get_by_text("no account here matches")).to_be_visible()
    page.get_by_role("link", name="Back to sign-in").click()
    expect(page.get_by_test_id("sign-in-provider")).to_be_visible()
