"""The settings of people in browsers: inviting, roles, tokens, organisations kept apart."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.builders.scenes import add_project
from tests.drivers.servers.processes import RunyardServer
from tests.drivers.web.visibility import barriers
from tests.e2e.conftest import Consoles, OpenPage
from tests.e2e.people.conftest import Join, accept


def test_an_admin_invites_a_person_who_signs_in_by_the_link(
    signed_in: Page, open_page: OpenPage, server: RunyardServer
) -> None:
    signed_in.goto(f"{server.url}/settings?tab=people")
    signed_in.get_by_test_id("invite-email").fill("not an address")
    signed_in.get_by_test_id("person-invite").click()
    expect(signed_in.get_by_test_id("field-error")).to_contain_text("Write an e-mail address")
    signed_in.get_by_test_id("invite-email").fill("anna@example.com")
    signed_in.get_by_test_id("invite-name").fill("Anna <b>A</b>")
    signed_in.get_by_test_id("person-invite").click()
    link = signed_in.get_by_test_id("invite-link")
    expect(link).to_contain_text("/login/invitation?token=")
    anna = signed_in.get_by_test_id("person-row").filter(has_text="anna@example.com")
    expect(anna).to_contain_text("Invited")
    assert barriers(signed_in) == []
    hers = open_page(reduced_motion="reduce")
    accept(hers, link.inner_text())
    hers.goto(f"{server.url}/me")
    expect(hers.get_by_test_id("me-name")).to_have_value("Anna <b>A</b>")
    assert barriers(hers) == []
    signed_in.reload()
    expect(anna).not_to_contain_text("Invited")


def test_people_of_two_organisations_see_their_own_colleagues_only(
    join: Join, server: RunyardServer, consoles: Consoles
) -> None:
    consoles.expect("401|WebSocket")
    with server.client() as api:
        assert api.post("/organisations", json={"name": "north"}).status_code == 201
    ada = join("ada@south.org", role="admin", name="Ada")
    bo = join("bo@north.org", role="admin", name="Bo", organisation="north")
    cy = join("cy@north.org", role="user", name="Cy", organisation="north")
    for page, colleagues, strangers in (
        (ada, ("Ada",), ("Bo", "Cy")),
        (bo, ("Bo", "Cy"), ("Ada",)),
    ):
        page.goto(f"{server.url}/settings?tab=people")
        people = page.get_by_test_id("people-list")
        for name in colleagues:
            expect(people).to_contain_text(name)
        for name in strangers:
            expect(people).not_to_contain_text(name)
    mine = bo.get_by_test_id("person-row").filter(has_text="Bo")
    expect(mine).to_contain_text("You cannot change your own role")
    expect(mine.get_by_test_id("person-role")).to_have_count(0)
    expect(bo.get_by_test_id("invite-organisation")).to_have_count(0)
    expect(ada.get_by_test_id("invite-organisation")).to_be_visible()

    cy.goto(f"{server.url}/settings")
    tabs = cy.get_by_role("navigation", name="Settings")
    expect(tabs).to_contain_text("Tokens")
    for name in ("People", "Organisation", "Doctor", "Forges", "Limits"):
        expect(tabs).not_to_contain_text(name)

    hers = bo.get_by_test_id("person-row").filter(has_text="Cy")
    hers.get_by_test_id("person-role").click()
    bo.get_by_role("option", name="Operator").click()
    expect(bo.get_by_test_id("toast")).to_contain_text("Cy is now operator.")
    cy.goto(f"{server.url}/settings")
    expect(cy.get_by_test_id("plain-title")).to_have_text("Sign in")


def test_a_token_is_shown_once_and_revoked(join: Join, server: RunyardServer) -> None:
    page = join("tess@example.com", role="user", name="Tess")
    page.goto(f"{server.url}/settings?tab=tokens")
    scopes = page.get_by_test_id("token-scope")
    expect(scopes).to_have_count(3)
    page.get_by_test_id("token-name").fill("nightly")
    page.get_by_test_id("token-days").fill("0")
    page.get_by_test_id("token-add").click()
    expect(page.get_by_test_id("field-error")).to_have_text("Write a number from 1 to 365.")
    page.get_by_test_id("token-days").fill("7")
    page.get_by_test_id("token-add").click()
    token = page.get_by_test_id("token-text")
    expect(token).to_have_text(re.compile("^ry_"))
    text = token.inner_text()
    assert barriers(page) == []
    with server.client(Authorization=f"Bearer {text}") as api:
        assert api.get("/people/me").json()["name"] == "Tess"
    page.reload()
    expect(page.get_by_test_id("token-row")).to_contain_text("nightly")
    expect(token).to_have_count(0)
    revoke = page.get_by_test_id("token-revoke")
    revoke.click()
    revoke.click()
    expect(page.get_by_test_id("token-row")).to_have_count(0)
    with server.client(Authorization=f"Bearer {text}") as api:
        assert api.get("/people/me").status_code == 401


def test_people_change_their_name_and_password_and_end_sessions(
    join: Join, open_page: OpenPage, server: RunyardServer, consoles: Consoles
) -> None:
    consoles.expect("401|WebSocket")
    page = join("pia@example.com", role="viewer", name="Pia")
    page.goto(f"{server.url}/me")
    page.get_by_test_id("me-name").fill("Pia P.")
    page.get_by_test_id("me-save-name").click()
    expect(page.get_by_test_id("toast")).to_contain_text("Your name was changed.")
    page.get_by_test_id("me-old-password").fill("not my password")
    page.get_by_test_id("me-new-password").fill("another long password")
    page.get_by_test_id("me-save-password").click()
    expect(page.get_by_test_id("field-error")).to_have_text("This is not your password.")
    page.get_by_test_id("codes-begin").click()
    expect(page.get_by_test_id("codes-address")).to_contain_text("otpauth://totp/")
    expect(page.get_by_test_id("session-row")).to_have_count(1)
    expect(page.get_by_test_id("session-row")).to_contain_text("this browser")


def test_the_machines_account_has_no_password_to_change(
    signed_in: Page, server: RunyardServer
) -> None:
    signed_in.get_by_test_id("nav-me").click()
    expect(signed_in.get_by_text("This account belongs to the machine")).to_be_visible()
    expect(signed_in.get_by_test_id("me-new-password")).to_have_count(0)


def test_operators_read_the_audit_and_viewers_do_not(
    join: Join, server: RunyardServer, consoles: Consoles
) -> None:
    consoles.expect("403")
    page = join("olga@example.com", role="admin", name="Olga")
    page.goto(f"{server.url}/me")
    page.get_by_test_id("me-name").fill("Olga O.")
    page.get_by_test_id("me-save-name").click()
    expect(page.get_by_test_id("toast")).to_be_visible()
    page.goto(f"{server.url}/settings")
    page.get_by_test_id("to-audit").click()
    mine = page.get_by_test_id("audit-row").filter(has_text="Olga O.")
    expect(mine.first).to_contain_text("admin")
    mine.first.get_by_role("link", name="Olga O.").click()
    page.wait_for_url(re.compile("person="))
    expect(page.get_by_test_id("audit-row").first).to_contain_text("Olga O.")
    assert barriers(page) == []
    with page.expect_download() as download:
        page.get_by_test_id("audit-export").click()
    assert "Olga O." in download.value.path().read_text()
    page.goto(f"{server.url}/audit?deed=no_such_deed")
    expect(page.get_by_text("Nothing matches these filters.")).to_be_visible()
    viewer = join("vic@example.com", role="viewer", name="Vic")
    viewer.goto(f"{server.url}/settings")
    expect(viewer.get_by_test_id("to-audit")).to_have_count(0)
    viewer.goto(f"{server.url}/audit")
    expect(viewer.get_by_test_id("audit-list")).to_have_count(0)
    expect(viewer.get_by_text("This needs the role operator")).to_be_visible()


def test_controls_that_a_role_may_not_use_are_not_rendered(
    join: Join, server: RunyardServer, tmp_path: Path
) -> None:
    project = add_project(server, tmp_path, ["/bin/true"], name="shared")
    viewer = join("val@example.com", role="viewer", name="Val")
    user = join("uma@example.com", role="user", name="Uma")
    operator = join("oda@example.com", role="operator", name="Oda")
    controls = ("start-afk", "auto-toggle", "add-project", "new-run-anywhere")
    for page, shown in (
        (viewer, ()),
        (user, ("start-afk", "new-run-anywhere")),
        (operator, controls),
    ):
        page.goto(f"{server.url}/projects")
        expect(page.get_by_text("shared").first).to_be_visible()
        for control in controls:
            expect(page.get_by_test_id(control)).to_have_count(int(control in shown))
        page.goto(f"{server.url}/projects/{project}")
        tabs = page.get_by_role("navigation", name="Parts of shared")
        expect(tabs).to_contain_text("Charts")
        is_operator = page is operator
        expect(tabs.get_by_text("Settings")).to_have_count(int(is_operator))
        expect(page.get_by_test_id("new-issue")).to_have_count(int(is_operator))
