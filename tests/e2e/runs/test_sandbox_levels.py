"""Sandbox levels: chosen for a new project, changed in its settings, shown on its card."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.domain.sandbox.levels import HostService
from tests.builders.repositories import make_origin
from tests.builders.scenes import NEVER_COMMITS, add_project
from tests.drivers.servers.processes import RunyardServer
from tests.e2e.conftest import OpenPage

# what a person chooses, and the hint on it
LEVELS = {
    "contained": ("Contained", "neither Runyard's own data nor other processes"),
    "sandboxed": ("Sandboxed", "a home folder of this project"),
    "none": ("Unsandboxed", "everything that you can on this machine"),
}


@pytest.fixture(scope="module")
def is_shared() -> bool:
    """With an unsandboxed project a server makes fewer sign-in links."""
    return False


def choose(page: Page, mark: str, words: str) -> None:
    page.get_by_test_id(mark).click()
    page.get_by_role("option", name=words, exact=True).click()


def fill_new_project(page: Page, origin: Path) -> None:
    page.get_by_test_id("project-origin").fill(str(origin))
    page.get_by_test_id("project-agent").fill("script")
    page.get_by_test_id("project-command").fill("true")


def test_a_sandboxed_project_gets_the_hosts_and_limits_of_its_form(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    page.goto(f"{server.url}/projects/add")
    fill_new_project(page, make_origin(tmp_path / "ruled"))
    choose(page, "project-sandbox", "Sandboxed")
    hosts = page.get_by_test_id("project-allowed_hosts")
    expect(hosts).to_be_hidden()
    choose(page, "project-network", "Only allowed hosts")
    hosts.fill("https://example.org")
    page.get_by_test_id("project-submit").click()
    expect(page.get_by_test_id("field-error")).to_contain_text("example.org")
    hosts.fill("example.org\nexample.org:8443")
    page.get_by_text("More settings").click()
    page.get_by_test_id("project-memory_mb").fill("2048")
    page.get_by_test_id("project-submit").click()
    page.wait_for_url("**/projects/proj_*")
    with server.client() as api:
        project = api.get(f"/projects/{page.url.rsplit('/', 1)[1]}").json()
    assert project["network"] == "allowed"
    assert project["allowed_hosts"] == ["example.org", "example.org:8443"]
    assert (project["limits"]["memory_mb"], project["limits"]["processes"]) == (2048, 4096)


def test_a_service_that_is_allowed_and_a_level_that_is_left_show_on_the_card(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, NEVER_COMMITS, name="opened")
    page.goto(f"{server.url}/projects/{project}?tab=settings")
    page.get_by_test_id("setting-allow").click()
    page.get_by_role("option", name="docker").click()
    page.keyboard.press("Escape")
    expect(page.locator(".hint.wait")).to_contain_text("docker")
    page.get_by_test_id("save-settings").click()
    expect(page.get_by_test_id("sandbox-chip")).to_have_text("docker allowed")
    choose(page, "project-sandbox", "Unsandboxed")
    expect(page.locator(".hint.stop")).to_contain_text("everything that you can")
    page.get_by_test_id("save-settings").click()
    expect(page.get_by_test_id("unsandboxed")).to_have_text("Unsandboxed")
    page.goto(f"{server.url}/projects")
    card = page.locator(f"[data-project={project}]")
    expect(card.get_by_test_id("unsandboxed")).to_have_text("Unsandboxed")
    page.goto(f"{server.url}/projects/{project}?tab=settings")
    choose(page, "project-sandbox", "Contained")
    page.get_by_test_id("save-settings").click()
    expect(page.get_by_test_id("unsandboxed")).to_have_count(0)


def test_a_card_with_every_service_allowed_keeps_its_name_in_sight(
    sign_in: OpenPage, server: RunyardServer, tmp_path: Path
) -> None:
    page = sign_in(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    name = "a-project-with-a-name-of-some-length"
    project = add_project(server, tmp_path, NEVER_COMMITS, name=name, allow=[*HostService])
    page.goto(f"{server.url}/projects")
    card = page.locator(f"[data-project={project}]")
    shown = card.locator(".name").bounding_box()
    chip, whole = card.get_by_test_id("sandbox-chip").bounding_box(), card.bounding_box()
    assert shown
    assert chip
    assert whole
    assert shown["width"] >= 80
    assert chip["x"] + chip["width"] <= whole["x"] + whole["width"]
    page.goto(f"{server.url}/projects/{project}?tab=settings")
    away = page.locator(".q-chip__icon--remove").first
    expect(away).to_be_visible()
    box = away.bounding_box()
    assert box
    assert min(box["width"], box["height"]) >= 44


def test_pills_stand_on_the_line_of_a_projects_name(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    short, long = (
        add_project(server, tmp_path / name, NEVER_COMMITS, name=name, allow=["docker"])
        for name in ("shop", "a-project-with-a-name-of-quite-some-length")
    )
    page.goto(f"{server.url}/projects")
    for project in (short, long):
        card = page.locator(f"[data-project={project}]")
        chip = card.get_by_test_id("sandbox-chip")
        expect(chip).to_have_text("docker allowed")
        name, first, second = (
            one.bounding_box() for one in (card.locator(".name"), card.locator(".pill").first, chip)
        )
        assert name
        assert first
        assert second
        middle = name["y"] + name["height"] / 2
        assert abs(first["y"] + first["height"] / 2 - middle) <= 2
        assert second["y"] == first["y"]
    # the plain page keeps the pills together, too
    page.goto(f"{server.url}/plain")
    card = page.locator(f"[data-project={short}]")
    pills = (card.get_by_test_id("card-status"), card.get_by_test_id("sandbox-chip"))
    first, second = (pill.bounding_box() for pill in pills)
    assert first
    assert second
    assert 0 < second["x"] - first["x"] - first["width"] < 10


# in `make test`: sandboxed in the first test of this file, contained in the second one's settings
@pytest.mark.parametrize(
    "level",
    [
        pytest.param("contained", marks=pytest.mark.soak),
        pytest.param("sandboxed", marks=pytest.mark.soak),
        "none",
    ],
)
def test_a_project_is_added_at_the_level_that_a_person_chooses(
    signed_in: Page, server: RunyardServer, tmp_path: Path, level: str
) -> None:
    page = signed_in
    page.goto(f"{server.url}/projects/add")
    fill_new_project(page, make_origin(tmp_path / f"at-{level}"))
    for each in (*(one for one in LEVELS if one != level), level):
        words, means = LEVELS[each]
        choose(page, "project-sandbox", words)
        expect(page.locator(".hint", has_text=means)).to_be_visible()
        expect(page.get_by_test_id("project-network")).to_be_visible(visible=each == "sandboxed")
    page.get_by_test_id("project-submit").click()
    page.wait_for_url("**/projects/proj_*")
    with server.client() as api:
        project = api.get(f"/projects/{page.url.rsplit('/', 1)[1]}").json()
    assert project["sandbox"] == level
    # a red pill beside the status, only for an unsandboxed project
    expect(page.get_by_test_id("unsandboxed")).to_have_count(1 if level == "none" else 0)
    expect(page.get_by_test_id("sandbox-chip")).to_have_count(0)
