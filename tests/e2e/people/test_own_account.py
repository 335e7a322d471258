"""A person's own page in browsers: password, one-time codes, fresh sign-ins and sessions."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from pyotp.totp import TOTP

from tests.builders.databases import only_on_sqlite
from tests.drivers.people import PASSWORD
from tests.drivers.servers.processes import RunyardServer
from tests.drivers.web.visibility import barriers
from tests.e2e.conftest import Consoles, OpenPage
from tests.e2e.people.conftest import Join, let_sign_ins_age

pytestmark = only_on_sqlite("it ages sign-ins in the database's file")
NEW_PASSWORD = "another long password"


def sign_in(
    page: Page, server: RunyardServer, email: str, password: str = PASSWORD, code: str = ""
) -> None:
    """Fill the sign-in form, and send it."""
    page.goto(server.url)
    page.locator("input[name=email]").fill(email)
    page.locator("input[name=password]").fill(password)
    page.locator("input[name=code]").fill(code)
    page.get_by_test_id("sign-in").click()


def prove(page: Page, password: str = PASSWORD, code: str = "") -> None:
    """Answer the dialog that asks to sign in again."""
    page.get_by_test_id("proof-password").fill(password)
    page.get_by_test_id("proof-code").fill(code)
    page.get_by_test_id("proof-submit").click()


def test_a_new_password_ends_the_other_sessions_and_replaces_the_old_one(
    join: Join, open_page: OpenPage, server: RunyardServer, consoles: Consoles
) -> None:
    consoles.expect("401|403|WebSocket")
    desk = join("nora@example.com", role="user", name="Nora")
    phone = open_page(reduced_motion="reduce")
    sign_in(phone, server, "nora@example.com")
    phone.wait_for_selector(".shell")
    desk.goto(f"{server.url}/me")
    expect(desk.get_by_test_id("session-row")).to_have_count(2)
    desk.get_by_test_id("me-old-password").fill(PASSWORD)
    desk.get_by_test_id("me-new-password").fill("short")
    desk.get_by_test_id("me-save-password").click()
    expect(desk.get_by_test_id("field-error")).to_contain_text("12 characters")
    desk.get_by_test_id("me-new-password").fill(NEW_PASSWORD)
    desk.get_by_test_id("me-save-password").click()
    expect(desk.get_by_test_id("toast")).to_contain_text("Your password was changed")
    expect(desk.get_by_test_id("me-new-password")).to_have_value("")
    # the list follows at once, and this browser stays signed in
    expect(desk.get_by_test_id("session-row")).to_have_count(1)
    phone.goto(f"{server.url}/me")
    expect(phone.get_by_test_id("plain-title")).to_have_text("Sign in")
    sign_in(phone, server, "nora@example.com")
    expect(phone.locator(".wrong")).to_be_visible()
    sign_in(phone, server, "nora@example.com", NEW_PASSWORD)
    phone.wait_for_selector(".shell")


def test_a_sign_in_older_than_a_quarter_of_an_hour_is_proved_again_in_place(
    join: Join, server: RunyardServer, consoles: Consoles
) -> None:
    consoles.expect("401|403")
    page = join("olga@example.com", role="user", name="Olga")
    page.goto(f"{server.url}/settings?tab=tokens")
    page.get_by_test_id("token-name").fill("nightly")
    let_sign_ins_age(server)
    page.get_by_test_id("token-add").click()
    dialog = page.get_by_test_id("proof-dialog")
    expect(dialog).to_contain_text("more than 15 minutes ago")
    expect(page.get_by_test_id("proof-password")).to_be_focused()
    assert barriers(page, within=".q-dialog") == []
    # cancelled: nothing is made, and the page says why
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_test_id("form-error")).to_contain_text("Sign in again to do this")
    expect(page.get_by_test_id("token-row")).to_have_count(0)
    page.get_by_test_id("token-add").click()
    prove(page, "not the password")
    expect(dialog.get_by_test_id("field-error")).to_be_visible()
    prove(page)
    # what was pressed is done without being pressed again
    expect(page.get_by_test_id("token-text")).to_contain_text("ry_")
    page.get_by_test_id("token-name").fill("another")
    page.get_by_test_id("token-add").click()
    expect(page.get_by_test_id("token-row")).to_have_count(2)
    expect(dialog).to_have_count(0)


def test_one_time_codes_are_set_up_asked_for_and_removed(
    join: Join, open_page: OpenPage, server: RunyardServer, consoles: Consoles
) -> None:
    consoles.expect("401|403")
    page = join("cora@example.com", role="user", name="Cora")
    page.goto(f"{server.url}/me")
    page.get_by_test_id("codes-begin").click()
    app = TOTP(page.get_by_test_id("codes-secret").inner_text().strip())
    page.get_by_test_id("codes-code").fill("000000")
    page.get_by_test_id("codes-confirm").click()
    expect(page.get_by_test_id("field-error")).to_be_visible()
    page.get_by_test_id("codes-code").fill(app.now())
    page.get_by_test_id("codes-confirm").click()
    shown = page.get_by_test_id("recovery-codes")
    expect(shown).to_be_visible()
    recovery = shown.inner_text().split()
    assert len(recovery) == len(set(recovery)) == 10
    assert barriers(page) == []
    page.reload()
    expect(page.get_by_test_id("codes-remove")).to_be_visible()
    expect(shown).to_have_count(0)

    other = open_page(reduced_motion="reduce")
    sign_in(other, server, "cora@example.com")
    expect(other.locator(".wrong")).to_be_visible()
    # a lost phone: one recovery code signs in once
    sign_in(other, server, "cora@example.com", code=recovery[0])
    other.wait_for_selector(".shell")
    third = open_page(reduced_motion="reduce")
    sign_in(third, server, "cora@example.com", code=recovery[0])
    expect(third.locator(".wrong")).to_be_visible()

    let_sign_ins_age(server)
    remove = page.get_by_test_id("codes-remove")
    remove.click()
    remove.click()
    prove(page, code=recovery[1])
    expect(page.get_by_test_id("toast")).to_contain_text("ask for no code any more")
    expect(page.get_by_test_id("codes-begin")).to_be_visible()
    sign_in(third, server, "cora@example.com")
    third.wait_for_selector(".shell")


def test_another_browser_is_signed_out_from_the_list(
    join: Join, open_page: OpenPage, server: RunyardServer, consoles: Consoles
) -> None:
    consoles.expect("401|403|WebSocket")
    desk = join("ella@example.com", role="viewer", name="Ella")
    phone = open_page(reduced_motion="reduce")
    sign_in(phone, server, "ella@example.com")
    phone.wait_for_selector(".shell")
    desk.goto(f"{server.url}/me")
    rows = desk.get_by_test_id("session-row")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="this browser")).to_have_count(1)
    expect(rows.filter(has_text="this browser").get_by_test_id("session-end")).to_have_count(0)
    desk.get_by_test_id("session-end").click()
    expect(rows).to_have_count(1)
    # its open page hears nothing more, and the next one asks to sign in
    expect(phone.get_by_test_id("live-badge")).to_have_text("Reconnecting…")
    phone.goto(server.url)
    expect(phone.get_by_test_id("plain-title")).to_have_text("Sign in")


def test_look_and_time_zone_are_found_again_in_another_browser(
    join: Join, open_page: OpenPage, signed_in: Page, server: RunyardServer, consoles: Consoles
) -> None:
    consoles.expect("401")
    desk = join("zoe@example.com", role="viewer", name="Zoe")
    desk.goto(f"{server.url}/me")
    desk.get_by_role("button", name="Look and shortcuts").click()
    desk.get_by_role("button", name="Dark", exact=True).click()
    zone = desk.get_by_test_id("me-zone")
    zone.fill("Kathm")
    desk.get_by_role("option", name="Asia/Kathmandu").click()
    html = desk.locator("html")
    expect(html).to_have_attribute("data-zone", "Asia/Kathmandu")
    since = desk.get_by_test_id("session-row").locator("time").first
    told = since.get_attribute("title")

    phone = open_page(reduced_motion="reduce", timezone_id="America/New_York")
    sign_in(phone, server, "zoe@example.com")
    phone.wait_for_selector(".shell")
    phone.goto(f"{server.url}/me")
    expect(phone.locator("html")).to_have_attribute("data-theme", "dark")
    expect(phone.locator("body.body--dark")).to_have_count(1)
    # the same moment reads the same, whatever the browser's own zone
    same = phone.get_by_test_id("session-row").locator(f"time[title='{told}']")
    expect(same).not_to_have_count(0)
    phone.goto(f"{server.url}/plain")
    expect(phone.locator("html")).to_have_attribute("data-theme", "dark")
    # the next person in that browser finds nothing of hers
    phone.goto(f"{server.url}/runs")
    phone.wait_for_selector(".shell")
    lasting = ("runyard_look", "runyard_zone")
    for cookie in phone.context.cookies():
        if (name := cookie.get("name")) not in lasting:
            phone.context.clear_cookies(name=name)
    assert phone.context.cookies() == []
    join("bob@example.com", role="viewer", name="Bob").close()
    sign_in(phone, server, "bob@example.com")
    phone.wait_for_selector(".shell")
    expect(phone.locator("html")).not_to_have_attribute("data-theme", "dark")
    # the machine's operator has no account: each browser decides for itself, as before
    signed_in.goto(f"{server.url}/me")
    expect(signed_in.get_by_test_id("me-zone")).to_have_count(0)
    expect(signed_in.locator("html")).not_to_have_attribute("data-theme", "dark")
