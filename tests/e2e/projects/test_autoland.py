"""Autoland in a browser: its rules in the settings, a change that waits, one that landed."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.builders.scenes import add_project, start_run, wait_until_released
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.e2e.runs.test_sandbox_levels import choose

ADDS = "echo words > guide.md; git add -A; git commit -qm 'Add a guide'"
CHECK = {"name": "tests", "command": ["true"]}


def test_a_change_waits_for_a_person_until_the_rules_let_it_land(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, ["sh", "-c", ADDS], name="lands by itself")
    page.goto(f"{server.url}/projects/{project}?tab=settings")
    paths, lines = (
        page.get_by_test_id(f"setting-{name}") for name in ("protected_paths", "max_lines")
    )
    expect(paths).to_have_value(".github/\nRUNYARD.md")
    choose(page, "setting-autoland", "When all rules allow it")
    paths.fill("../up")
    lines.fill("40")
    page.get_by_test_id("save-settings").click()
    expect(page.get_by_text("Paths begin at the top of the repository")).to_be_visible()
    paths.fill("guide.md")
    page.get_by_test_id("save-settings").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    with server.client() as client:
        client.patch(f"/projects/{project}", json={"checks": [CHECK]})
        rules = client.get(f"/projects/{project}").json()["autoland"]
        assert rules == {
            "enabled": True,
            "max_files": 10,
            "max_lines": 40,
            "protected_paths": ["guide.md"],
        }
        issue = {"title": "Write a guide", "labels": ["ready-for-agent"]}
        number = client.post(f"/projects/{project}/issues", json=issue).json()["number"]
    wait_until_released(server, start_run(server, project, issue=number))
    with server.client() as client:
        (change,) = client.get(f"/projects/{project}/changes").json()["items"]
    page.goto(f"{server.url}/projects/{project}/changes/{change['number']}")
    note = page.get_by_test_id("change-autoland")
    expect(note).to_have_text("Not landed by itself: touches guide.md, which is protected.")
    with server.client() as client:
        rules = {"autoland": {"protected_paths": [".github/"]}}
        assert client.patch(f"/projects/{project}", json=rules).status_code == 200
        place = f"/projects/{project}/changes"
        wait_for(client, place, lambda found: found["items"][0]["state"] == "merged")
    expect(note).to_have_text("Landed by itself: checks passed, 1 file, 1 line.")
    expect(page.get_by_test_id("change-state")).to_have_text("Merged")
