"""The tracker in a browser: issues written, labeled, commented, blocked, run; hostile text."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.builders.issue_texts import TEXTS
from tests.builders.scenes import Puppet, add_project, wait_until_released
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.drivers.web.visibility import barriers
from tests.e2e.conftest import OpenPage

WHAT_RUNS = """() => [...document.querySelectorAll('main *')].flatMap((e) =>
  [...e.attributes].filter((a) => /^on/i.test(a.name) || /^\\s*(javascript|vbscript|data):/i
    .test(a.value)).map((a) => `${e.tagName} ${a.name}=${a.value}`))"""
# where an element's words end at the latest: at its padding, as it cuts off the rest
ENDS = """(e) => e.getBoundingClientRect().right - parseFloat(getComputedStyle(e).paddingRight)"""


@pytest.fixture
def puppet(tmp_path: Path) -> Puppet:
    """The agent of the test's project."""
    return Puppet(tmp_path / "agent")


def write(server: RunyardServer, project: str, title: str, **more: object) -> str:
    """Create an issue and return the address of its page."""
    with server.client() as client:
        answer = client.post(f"/projects/{project}/issues", json={"title": title, **more})
        assert answer.status_code == 201, answer.text
    return f"{server.url}/projects/{project}/issues/{answer.json()['number']}"


def row(page: Page, number: int) -> Locator:
    """Locate an issue's row."""
    return page.locator(f"[data-testid=issue-row][data-issue='{number}']")


def test_an_issue_from_its_first_word_to_its_merge(
    tab: Page, server: RunyardServer, tmp_path: Path, puppet: Puppet
) -> None:
    page = tab
    project = add_project(server, tmp_path, puppet.argv, name="ledger")
    page.goto(f"{server.url}/projects/{project}/issues")
    expect(page.get_by_test_id("no-issues")).to_contain_text("No issues yet")
    for title, text in (
        ("Round tax per line", "Sums differ by **a cent**.\n\n- [ ] a test"),
        ("Export the ledger", "After the rounding.\n\n## Blocked by\n\n- #1"),
    ):
        page.get_by_test_id("new-issue").click()
        expect(page.get_by_test_id("issue-title")).to_have_value("")
        expect(page.get_by_test_id("issue-body")).to_have_value("")
        page.get_by_test_id("issue-title").fill(title)
        page.get_by_test_id("issue-body").fill(text)
        page.get_by_test_id("issue-submit").click()
        expect(page.get_by_role("link", name=title)).to_be_visible()
    expect(row(page, 2)).to_contain_text("Blocked by #1, ready")

    page.get_by_role("link", name="Round tax per line").click()
    expect(page.get_by_role("heading", name="#1 Round tax per line")).to_be_visible()
    expect(page.get_by_test_id("issue-body").locator("strong")).to_have_text("a cent")
    page.get_by_test_id("new-label").fill("money")
    page.get_by_test_id("new-label").press("Enter")
    expect(page.get_by_role("button", name="Remove label money")).to_be_visible()
    expect(page.get_by_test_id("new-label")).to_have_value("")
    page.get_by_test_id("comment-box").fill("Use `Decimal`.")
    page.get_by_test_id("comment-submit").click()
    expect(page.get_by_test_id("issue-comment").locator("code")).to_have_text("Decimal")
    expect(page.get_by_test_id("comment-box")).to_have_value("")

    page.get_by_test_id("start-issue").click()
    page.get_by_role("link", name="Open the run").wait_for()
    expect(page.get_by_test_id("issue-hold")).to_have_text("a run is under way")
    with server.client() as client:
        (run,) = client.get("/runs", params={"project_id": project}).json()["items"]
    puppet.tell_to_deliver("money.py", "ROUND")
    wait_until_released(server, run["id"])
    change = page.get_by_test_id("issue-changes").get_by_role("link")
    expect(page.get_by_test_id("issue-hold")).to_contain_text("delivered: change request #3")
    change.click()
    expect(page.get_by_test_id("change-header")).to_contain_text("Round tax per line")
    page.get_by_role("link", name="Files", exact=False).first.click()
    expect(page.get_by_test_id("change-diff")).to_contain_text("money.py")
    page.keyboard.press("m")
    expect(page.get_by_test_id("merge-dialog")).to_contain_text("Issue #1 is closed.")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("change-state")).to_have_text("Merged")
    with server.client() as client:
        path = f"/projects/{project}/issues/1"
        wait_for(client, path, lambda issue: issue["state"] == "closed")
        two = client.get(f"/projects/{project}/issues/2").json()
    assert (two["hold"], two["claimable"]) == (None, True)
    page.goto(f"{server.url}{path}")
    expect(page.get_by_test_id("issue-state")).to_have_text("Closed")
    expect(page.get_by_test_id("start-issue")).to_be_hidden()


def test_what_is_half_typed_outlives_what_others_do(
    tab: Page, known_browser: BrowserContext, server: RunyardServer, tmp_path: Path
) -> None:
    project = add_project(server, tmp_path, ["true"], name="typing")
    address = write(server, project, "Both of us", body="As it was.")
    ann, bob = tab, known_browser.new_page()
    for person in (ann, bob):
        person.goto(address)
        person.get_by_test_id("edit-issue").click()
    typed = bob.get_by_test_id("edit-body")
    typed.fill("Half of a sent")
    typed.evaluate("(e) => e.setSelectionRange(4, 4)")

    ann.get_by_test_id("edit-title").fill("Ann's title")
    ann.get_by_test_id("edit-body").fill("Ann's words.")
    ann.get_by_test_id("save-issue").click()
    expect(bob.get_by_role("heading", name="#1 Ann's title")).to_be_visible()
    expect(typed).to_be_focused()
    bob.keyboard.type("!")
    expect(typed).to_have_value("Half! of a sent")

    bob.get_by_test_id("save-issue").click()
    notice = bob.get_by_test_id("edited-meanwhile")
    expect(notice).to_contain_text("Your changes are not saved yet.")
    expect(notice).to_contain_text("Ann's words.")
    assert barriers(bob) == []
    bob.get_by_test_id("save-mine").click()
    expect(ann.get_by_test_id("issue-body")).to_contain_text("Half! of a sent")
    expect(ann.get_by_role("heading", name="#1 Ann's title")).to_be_visible()


def test_on_a_phone_no_word_of_a_row_is_under_its_run_button(
    sign_in: OpenPage, server: RunyardServer, tmp_path: Path
) -> None:
    project = add_project(server, tmp_path, ["true"], name="thumbs")
    write(server, project, "Round tax per line", labels=["ready-for-agent"])
    phone = sign_in(viewport={"width": 390, "height": 844}, has_touch=True)
    phone.goto(f"{server.url}/projects/{project}/issues")
    button = row(phone, 1).get_by_test_id("issue-run")
    expect(button).to_be_visible()
    room_ends = row(phone, 1).locator(".next").evaluate(ENDS)
    box = button.bounding_box()
    assert box
    assert room_ends <= box["x"]


def test_a_hostile_text_runs_nowhere(tab: Page, server: RunyardServer, tmp_path: Path) -> None:
    # the `consoles` fixture fails the test on a dialog or a console error
    project = add_project(server, tmp_path, ["true"], name="hostile-words")
    words = [text.replace("\0", "") for text in TEXTS]
    address = write(server, project, words[3], body="\n\n".join(words), labels=["<img src=x>"])
    with server.client() as client:
        for some in (words[:20], words[20:]):
            body = {"body": "\n\n".join(some)}
            path = f"/projects/{project}/issues/1/comments"
            assert client.post(path, json=body).status_code == 201
    tab.goto(address)
    expect(tab.get_by_test_id("issue-comment")).to_have_count(2)
    expect(tab.get_by_test_id("issue-comment").last).to_contain_text("alert(1)")
    expect(tab.get_by_test_id("issue-body")).to_contain_text("alert(1)")
    assert tab.evaluate(WHAT_RUNS) == []
    assert tab.locator("main :is(img, svg, iframe, script, style, form, video)").count() == 0
    tab.get_by_test_id("edit-issue").click()
    tab.goto(f"{server.url}/projects/{project}/issues")
    expect(tab.get_by_test_id("issue-row")).to_be_visible()
    assert tab.evaluate(WHAT_RUNS) == []
