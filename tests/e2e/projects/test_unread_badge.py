"""What came into the inbox shows on every open page, until it was opened anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.builders.scenes import add_project, start_run
from tests.drivers.servers.processes import RunyardServer
from tests.fakes.agents.runs import until
from tests.fakes.receivers import LocalReceiver, local_receiver

# leaves a file that its check objects to, where its task says so
AGENT = """
grep -q 'Break it' "$RUNYARD_PROMPT_FILE" && touch broken.txt
echo work > "$(basename "$PWD").txt"
git add -A; git commit -qm Work
"""
CHECK = {"name": "Tests", "command": ["test", "!", "-e", "broken.txt"], "timeout_seconds": 60}


@pytest.fixture(scope="module")
def receiver() -> Iterator[LocalReceiver]:
    """A person's phone, to which the server sends its notifications."""
    with local_receiver() as there:
        yield there


@pytest.fixture(scope="module")
def settings(receiver: LocalReceiver) -> dict[str, str]:
    """Notifications of what needs a person."""
    return {"RUNYARD_NOTIFY_URLS": receiver.address}


def expect_badge(page: Page, name: str, *, waiting: int, unread: int) -> None:
    """Check the tab's title and icon, and the rail's count and dot."""
    expect(page).to_have_title(f"({waiting}) {name} · Runyard" if waiting else f"{name} · Runyard")
    icon = page.locator("link[rel=icon]")
    expect(icon).to_have_attribute("href", f"/assets/icon{'-waiting' if waiting else ''}.svg")
    entry = page.get_by_test_id("nav-inbox")
    alarm = entry.locator(".alarm")
    expect(alarm).to_have_text(f"{waiting} need attention") if waiting else expect(
        alarm
    ).to_have_count(0)
    dot = entry.get_by_test_id("unread-dot")
    expect(dot).to_have_text(f", {unread} unread") if unread else expect(dot).to_be_hidden()


def link_in(receiver: LocalReceiver) -> str:
    """Return the link of the first notification, once it has come."""
    until(lambda: receiver.taken, "the notification")
    told = receiver.taken[0]
    assert told["title"].startswith("Runyard: shop needs you: its checks failed"), told
    [link] = re.findall(r"https?://[^\s)]+", told["message"])
    return str(link)


def test_an_item_is_told_everywhere_and_read_through_its_notification_or_its_page(
    tab: Page, server: RunyardServer, receiver: LocalReceiver, tmp_path: Path
) -> None:
    runs, other = tab, tab.context.new_page()
    pages = {"Runs": runs, "Settings": other}
    for name, page in pages.items():
        page.goto(f"{server.url}/{name.lower()}")
        expect(page.get_by_test_id("live-badge")).to_have_text("Live")
        expect_badge(page, name, waiting=0, unread=0)
    more = {"checks": [CHECK | {"required": True}], "check_rounds": 0, "on_red": "park"}
    project = add_project(server, tmp_path, ["sh", "-c", AGENT], **more)
    start_run(server, project, task="Break it")
    for name, page in pages.items():
        expect_badge(page, name, waiting=1, unread=1)
    other.goto(link_in(receiver))
    # read, though it still needs somebody
    expect_badge(runs, "Runs", waiting=1, unread=0)

    start_run(server, project, task="Round tax per line")
    expect_badge(runs, "Runs", waiting=1, unread=1)
    with server.client() as client:
        [change] = client.get(f"/projects/{project}/changes").json()["items"]
        [parked] = client.get("/parked").json()["items"]
    other.goto(f"{server.url}/projects/{project}/changes/{change['number']}")
    expect_badge(runs, "Runs", waiting=1, unread=0)
    runs.reload()
    expect_badge(runs, "Runs", waiting=1, unread=0)

    with server.client() as client:
        branch = {"project_id": project, "branch": parked["branch"], "confirm": parked["branch"]}
        client.post("/parked/discard", json=branch).raise_for_status()
    expect_badge(runs, "Runs", waiting=0, unread=0)
