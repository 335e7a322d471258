"""A project's checks by keyboard alone: edited as rows, answered on their card, tried again."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.builders.repositories import commit_files, make_origin
from tests.builders.scenes import add_project, start_run, tab_to, wait_until
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.drivers.web.visibility import barriers

COMMITS = "echo 1 > made.txt; git add -A; git -c user.name=a -c user.email=a@b.test commit -qm x"
NEVER_THERE = "no-such-program"


def test_checks_are_added_moved_removed_and_saved_without_a_mouse(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, ["make"], name="checks by keys")
    page.goto(f"{server.url}/projects/{project}?tab=settings")
    keys, rows = page.keyboard, page.get_by_test_id("check-row")
    add = page.get_by_test_id("add-check")
    for place, name in enumerate(("tests", "types", "lint")):
        add.focus()
        keys.press("Enter")
        expect(rows.nth(place).get_by_test_id("check-name")).to_be_focused()
        keys.type(name)
        keys.press("Tab")
        keys.type(f"make {name}")
    tab_to(page, rows.nth(2).get_by_test_id("move-check"))
    for place in (1, 0, 0):
        keys.press("Enter")
        moved = rows.nth(place)
        expect(moved.get_by_test_id("check-name")).to_have_value("lint")
        expect(moved.get_by_test_id("move-check")).to_be_focused()
        expect(moved.get_by_test_id("move-check")).to_have_css("outline-style", "solid")
    command = rows.nth(2).get_by_test_id("check-command")
    command.fill("make 'types")
    page.get_by_test_id("save-settings").click()
    expect(command).to_be_focused()
    expect(rows.nth(2)).to_contain_text("A quote in the command of “types” is not closed.")
    assert barriers(page, within=".check-rows") == []
    keys.press("ControlOrMeta+A")
    keys.type("make types")
    rows.nth(1).get_by_test_id("check-name").focus()
    tab_to(page, rows.nth(1).get_by_test_id("remove-check"))
    keys.press("Enter")
    expect(rows).to_have_count(2)
    expect(rows.nth(1).get_by_test_id("remove-check")).to_be_focused()
    tab_to(page, page.get_by_test_id("save-settings"))
    keys.press("Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    with server.client() as client:
        checks = client.get(f"/projects/{project}").json()["checks"]
    assert [one["command"] for one in checks] == [["make", "lint"], ["make", "types"]]


def test_rows_that_somebody_else_changes_wait_until_the_focus_has_left_them(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, ["make"], name="checks of two")
    check = {"name": "tests", "command": ["make"]}
    with server.client() as client:
        client.patch(f"/projects/{project}", json={"checks": [check]})
        page.goto(f"{server.url}/projects/{project}?tab=settings")
        name, command = (page.get_by_test_id(f"check-{part}") for part in ("name", "command"))
        name.focus()
        checks = [check | {"command": ["ant"]}]
        client.patch(f"/projects/{project}", json={"checks": checks, "max_concurrency": 7})
    expect(page.get_by_test_id("setting-max_concurrency")).to_have_value("7")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_test_id("check-timeout")).to_be_focused()
    expect(command).to_have_value("make")
    page.get_by_test_id("setting-name").focus()
    expect(command).to_have_value("ant")


def test_suggested_checks_are_kept_and_a_held_project_is_tried_again_without_a_mouse(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page, keys = signed_in, signed_in.keyboard
    origin = make_origin(tmp_path / "origin")
    commit_files(origin, {"Makefile": "test:\n\ttrue\n"})
    order = {"name": "suggested by keys", "origin": str(origin), "agent": "script"}
    with server.client() as client:
        answer = client.post("/projects", json=order | {"agent_command": ["sh", "-c", COMMITS]})
        project = answer.json()["id"]
        wait_for(client, f"/projects/{project}", lambda found: found["suggested_checks"])
    page.goto(f"{server.url}/projects/{project}")
    tab_to(page, page.get_by_test_id("keep-checks"))
    keys.press("Enter")
    expect(page.get_by_text("Kept.")).to_be_visible()
    expect(page.get_by_test_id("suggested-checks")).to_be_hidden()
    with server.client() as client:
        (kept,) = client.get(f"/projects/{project}").json()["checks"]
        assert kept["command"] == ["make", "test"]
        held = {"checks": [kept | {"command": [NEVER_THERE]}]}
        assert client.patch(f"/projects/{project}", json=held).status_code == 200
    wait_until(server, start_run(server, project), phase="done")
    expect(page.get_by_text("could not be started")).to_be_visible()
    again = page.get_by_test_id("try-checks")
    tab_to(page, again)
    keys.press("Enter")
    expect(again).to_have_count(0)
    with server.client() as client:
        assert client.get(f"/projects/{project}").json()["checks_error"] is None
