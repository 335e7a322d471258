"""A first project from start to end: added, run, delivered, merged."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.builders.repositories import make_origin, run_git
from tests.builders.scenes import Puppet, field_error, wait_for_run_page
from tests.drivers.servers.processes import RunyardServer


def test_the_way_from_an_empty_page_to_a_merged_change(
    tab: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page, puppet = tab, Puppet(tmp_path / "agent")
    origin = make_origin(tmp_path / "shop")
    run_git(origin, "branch", "release-2")
    page.goto(server.url)
    page.get_by_test_id("add-project").click()
    page.get_by_test_id("project-origin").fill(str(origin))
    expect(page.get_by_test_id("project-name")).to_have_attribute("placeholder", "shop")
    page.get_by_test_id("project-agent").fill("script")
    page.get_by_test_id("project-command").fill("\n".join(puppet.argv))
    page.get_by_test_id("project-submit").click()
    page.wait_for_url("**/projects/proj_*")
    expect(page.get_by_test_id("card-status")).to_have_text("Idle")

    page.get_by_test_id("new-run").click()
    picker = page.get_by_test_id("branch-picker")
    picker.click()
    expect(page.get_by_role("option")).to_have_text(["main", "release-2"])
    picker.fill("rele")
    expect(page.get_by_role("option")).to_have_text(["release-2"])
    picker.fill("mai")
    page.get_by_role("option", name="main").click()
    page.get_by_test_id("depth-level").get_by_role("radio", name="deep").click()
    page.get_by_test_id("target-framework").click()
    page.get_by_role("option").last.click()
    page.get_by_test_id("task").fill("Add a file that says hello")
    page.get_by_test_id("run-submit").click()
    wait_for_run_page(page)

    page.evaluate("window.isTheSamePage = true")
    expect(page.get_by_test_id("run-status")).to_contain_text("Running")
    log = page.get_by_test_id("run-log")
    expect(log.locator("span.k2", has_text="ready")).to_be_visible()
    puppet.tell("say reading the code")
    expect(log.locator("span.k2", has_text="reading the code")).to_be_visible()
    puppet.tell_to_deliver("hello.txt", "hello")
    expect(page.get_by_test_id("run-status")).to_contain_text("Succeeded")
    expect(page.get_by_test_id("live-badge")).to_contain_text("Synced at")
    expect(page.get_by_test_id("timeline-event")).not_to_have_count(0)
    delivery = page.get_by_test_id("pr-card")
    expect(delivery).to_contain_text(re.compile(r"#1.*Open.*1 file changed", re.S))
    page.get_by_role("tab", name="Diff").click()
    expect(page.get_by_test_id("run-diff")).to_contain_text("hello.txt")

    delivery.get_by_test_id("merge").click()
    expect(delivery).to_contain_text("Merged")
    assert page.evaluate("window.isTheSamePage"), "the page was loaded anew"
    assert run_git(origin, "show", "main:hello.txt") == "hello"
    page.goto(server.url)
    expect(page.locator("[data-testid=project-card]")).to_have_count(1)


def test_what_is_wrong_with_a_new_project_is_said_at_its_field(
    tab: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page, origin = tab, make_origin(tmp_path / "taken")
    (tmp_path / "plain").mkdir()
    with server.client() as client:
        body = {
            "name": "Taken",
            "origin": str(origin),
            "agent": "script",
            "agent_command": ["true"],
        }
        client.post("/projects", json=body)
    page.goto(f"{server.url}/projects/add")
    where, name = page.get_by_test_id("project-origin"), page.get_by_test_id("project-name")
    said = field_error(page, "project-origin")

    where.fill("shop/here")
    expect(name).to_have_attribute("placeholder", "here")  # only suggested, not filled in
    name.fill("fresh")
    page.get_by_test_id("project-submit").click()
    expect(said).to_be_visible()
    expect(where).to_be_focused()
    for wrong in (tmp_path / "nowhere", tmp_path / "plain"):
        where.fill(str(wrong))
        expect(said).to_have_count(0)
        page.get_by_test_id("project-submit").click()
        expect(said).to_be_visible()

    where.fill(str(origin))
    name.fill("Taken")
    page.get_by_test_id("project-submit").click()
    expect(field_error(page, "project-name")).to_have_text("Name already in use")
    expect(where).to_have_value(str(origin))
    name.fill("another")
    page.get_by_test_id("project-submit").click()
    expect(field_error(page, "project-agent")).to_contain_text("Choose an agent")
    expect(page.get_by_test_id("project-agent")).to_be_focused()
    expect(name).to_have_value("another")
    page.get_by_test_id("project-agent").fill("script")
    page.get_by_test_id("project-command").fill("true")
    page.get_by_test_id("project-submit").click()
    page.wait_for_url("**/projects/proj_*")
