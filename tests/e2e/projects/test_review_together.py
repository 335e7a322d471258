"""Two people review at the same time: each sees what the other decides, and loses no words."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.builders.databases import only_on_sqlite
from tests.builders.scenes import add_project, start_run, wait_until_released
from tests.drivers.servers.processes import RunyardServer
from tests.e2e.conftest import Consoles, close_tabs, signed_in_browser
from tests.e2e.projects.test_review import WRITES, change_by, give_obedient_agent, line

pytestmark = only_on_sqlite("it writes the second person into the database's file")

LATE = "Not sent: this change was merged meanwhile. Copy your words if you still need them."


def link_for_bob(server: RunyardServer) -> str:
    """Return a link that signs in a person of his own, as an account for him would."""
    link = server.new_link()
    with closing(sqlite3.connect(server.data_dir / "runyard.db")) as database:
        database.execute(
            "insert or ignore into person (id, name, created_at)"
            " select 'person_bob', 'bob', created_at from person limit 1"
        )
        database.execute(
            "insert or ignore into membership (person_id, organisation_id, role)"
            " select 'person_bob', id, 'admin' from organisation"
        )
        database.execute(
            "update login_link set person_id = 'person_bob' where token_hash ="
            " (select token_hash from login_link order by created_at desc limit 1)"
        )
        database.commit()
    return link


@pytest.fixture(scope="module")
def bobs_browser(browser: Browser, server: RunyardServer) -> Iterator[BrowserContext]:
    """The second person's browser."""
    link = link_for_bob(server)
    with signed_in_browser(browser, server, link=link, reduced_motion="reduce") as context:
        yield context


@pytest.fixture
def bob(bobs_browser: BrowserContext, consoles: Consoles) -> Iterator[Page]:
    """The second person's empty tab; the first person's is `tab`."""
    page = bobs_browser.new_page()
    consoles.watch(page)
    yield page
    close_tabs(bobs_browser)


def write_on(page: Page, number: int, words: str) -> None:
    """Type into the box of a line."""
    line(page, number).hover()
    line(page, number).get_by_test_id("line-add").click()
    page.get_by_test_id("line-comment").fill(words)


def test_what_one_sends_the_other_sees_and_what_is_not_sent_is_its_authors(
    tab: Page, bob: Page, server: RunyardServer, tmp_path: Path
) -> None:
    ann = tab
    project, address = change_by(server, tmp_path, WRITES)
    give_obedient_agent(server, project)
    for page in (ann, bob):
        page.goto(address)
    write_on(ann, 2, "Write here:     if coupon.until < order.at:")
    ann.get_by_test_id("add-to-review").click()
    expect(ann.get_by_test_id("review-count")).to_have_text("1 comment not sent yet")
    write_on(bob, 4, "Does this keep the cap?")
    bob.get_by_test_id("add-to-review").click()
    expect(bob.get_by_test_id("review-comment")).to_have_count(1)

    ann.get_by_test_id("send-to-agent").click()
    ann.wait_for_url("**/runs/*")
    wait_until_released(server, ann.url.rpartition("/")[2])
    expect(line(bob, 2)).to_contain_text("if coupon.until < order.at:")
    comments = bob.get_by_test_id("review-comment")
    expect(comments.filter(has_text="round 2")).to_contain_text("Write here")
    expect(comments.filter(has_text="Not sent yet")).to_contain_text("Does this keep the cap?")


def test_a_merge_by_one_leaves_the_others_comments_readable(
    tab: Page, bob: Page, server: RunyardServer, tmp_path: Path, consoles: Consoles
) -> None:
    ann = tab
    _, address = change_by(server, tmp_path, WRITES, "merged")
    for page in (ann, bob):
        page.goto(address)
    write_on(bob, 4, "Does this keep the cap?")
    bob.get_by_test_id("add-to-review").click()
    kept = bob.get_by_test_id("review-comment").filter(has_text="Not sent yet")
    expect(kept.get_by_test_id("edit-comment")).to_be_visible()
    write_on(bob, 1, "Name it price_of")
    ann.get_by_test_id("approve-merge").click()
    ann.get_by_test_id("merge-confirm").click()
    expect(bob.get_by_test_id("change-state")).to_have_text("Merged")
    expect(bob.get_by_test_id("review-bar")).to_be_hidden()
    for mark in ("file-add", "line-add"):
        expect(bob.get_by_test_id(mark).first).to_be_hidden()
    consoles.expect("409")
    bob.get_by_test_id("add-to-review").click()
    expect(bob.get_by_test_id("toast")).to_contain_text("This change request is no longer open.")
    half_typed = bob.get_by_test_id("line-comment")
    expect(half_typed).to_have_value("Name it price_of")
    bob.reload()
    expect(kept).to_contain_text("Does this keep the cap?")
    expect(half_typed).to_have_value("Name it price_of")
    expect(bob.get_by_test_id("change-add")).to_be_hidden()


def test_words_to_the_agent_are_refused_and_kept_once_the_other_has_merged(
    tab: Page, bob: Page, server: RunyardServer, tmp_path: Path, consoles: Consoles
) -> None:
    ann = tab
    _, address = change_by(server, tmp_path, WRITES, "words")
    address = address.replace("files", "conversation")
    for page in (ann, bob):
        page.goto(address)
    bob.get_by_test_id("change-write").fill("Round it down.")
    bob.get_by_test_id("change-request").click()
    bob.get_by_test_id("request-text").fill("Say which coupon.")

    ann.get_by_test_id("change-merge").click()
    ann.get_by_test_id("merge-confirm").click()
    expect(bob.get_by_test_id("change-state")).to_have_text("Merged")
    consoles.expect("409")
    bob.get_by_test_id("request-send").click()
    refusal = bob.get_by_test_id("request-dialog").get_by_test_id("form-error")
    expect(refusal).to_contain_text(re.compile(r"Change request #\d+ is merged\."))
    expect(bob.get_by_test_id("request-text")).to_have_value("Say which coupon.")
    bob.keyboard.press("Escape")

    box, button = bob.get_by_test_id("change-write"), bob.get_by_test_id("change-write-send")
    expect(box).to_have_value("Round it down.")
    expect(bob.get_by_text(LATE)).to_be_visible()
    expect(button).to_be_hidden()
    bob.reload()
    expect(box).to_have_value("Round it down.")
    # nothing to keep: nothing to write in
    ann.reload()
    expect(ann.get_by_test_id("change-ended")).to_contain_text("Merged into main")
    expect(ann.get_by_test_id("change-write")).to_be_hidden()


def test_a_row_that_one_has_settled_leaves_the_others_inbox(
    tab: Page, bob: Page, server: RunyardServer, tmp_path: Path, consoles: Consoles
) -> None:
    ann, people = tab, (tab, bob)
    closed, merged = two_changes(server, tmp_path)
    for page in people:
        page.goto(server.url)
        expect(page.get_by_test_id("live-badge")).to_have_text("Live")
    row(bob, closed).click()
    bob.get_by_test_id("change-merge").click()
    expect(bob.get_by_test_id("merge-dialog")).to_be_visible()

    row(ann, closed).click()
    ann.get_by_test_id("change-close").click()
    ann.get_by_test_id("close-confirm").click()
    for page in people:
        expect(row(page, closed)).to_have_count(0)
    consoles.expect("409")
    bob.get_by_test_id("merge-confirm").click()
    expect(bob.get_by_test_id("toast")).to_contain_text("This change request is already closed.")
    expect(row(bob, closed)).to_have_count(0)

    row(bob, merged).click()
    bob.get_by_test_id("change-merge").click()
    bob.get_by_test_id("merge-confirm").click()
    for page in people:
        expect(row(page, merged)).to_have_count(0)
    ann.reload()
    expect(ann.get_by_test_id("live-badge")).to_have_text("Live")
    for each in (closed, merged):
        expect(row(ann, each)).to_have_count(0)


def two_changes(server: RunyardServer, folder: Path) -> list[str]:
    """Have two runs make a change each; return the ids of their items."""
    agent = ["sh", "-ec", WRITES]
    project = add_project(server, folder, agent, name="inbox")
    for run in [start_run(server, project, task=f"task {number}") for number in (1, 2)]:
        wait_until_released(server, run)
    with server.client() as client:
        found = client.get(f"/projects/{project}/changes").json()["items"]
    return [f"change:{project}:{one['number']}" for one in found]


def row(page: Page, item: str) -> Locator:
    """Locate a row of the inbox."""
    return page.locator(f"[data-testid=inbox-item][data-id='{item}']")
