"""AFK runs on project cards: start, switch, pause and reset, shown live in two browsers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.builders.scenes import (
    Puppet,
    add_project,
    card,
    start_run,
    wait_until,
    wait_until_released,
)
from tests.drivers.servers.processes import RunyardServer
from tests.drivers.web.submits import (
    IS_DRAWN,
    FaultFile,
    picture,
    runs_of,
    stop_runs,
)
from tests.drivers.web.visibility import barriers
from tests.e2e.conftest import Consoles, OpenPage
from tests.e2e.runs.conftest import SignedIn
from tests.e2e.system.test_two_people import NOTE_PRESSES, NOTE_WORDS, Report, check_delay

SLEEPS = ["/bin/sh", "-c", "exec sleep 600"]
DIES = ["/bin/sh", "-c", "exit 3"]
START = "POST /api/v1/projects/.*/afk/start"
AUTO = "PUT /api/v1/projects/.*/afk/auto"
RESET = "POST /api/v1/projects/.*/afk/reset"


# long, because the card is also looked at on a phone
PAUSED = "on a phone with a rather long name indeed"
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """A server that sweeps every 10 min: a run right after Reset then proves that Reset sweeps."""
    return {"RUNYARD_SWEEP_SECONDS": "600"}


@pytest.fixture(scope="module")
def browsers(server: RunyardServer, contexts: SignedIn) -> Iterator[list[Page]]:
    """Two browsers with a page each, which all tests of this file use."""
    other = contexts.another(server)
    pages = [contexts.at(server).new_page(), other.new_page()]
    yield pages
    pages[0].close()
    other.close()


@pytest.fixture
def ann(browsers: list[Page], server: RunyardServer, consoles: Consoles) -> Page:
    """The Projects page in the first browser."""
    consoles.watch(browsers[0])
    return look_at_cards(browsers[0], server)


@pytest.fixture
def bob(browsers: list[Page], server: RunyardServer, consoles: Consoles) -> Page:
    """The Projects page in the second browser."""
    consoles.watch(browsers[1])
    return look_at_cards(browsers[1], server)


def write_issues(server: RunyardServer, project_id: str, count: int) -> None:
    """Create ready issues, numbered from 1."""
    with server.client() as client:
        for number in range(1, count + 1):
            issue = {"title": f"Do {number}", "labels": ["ready-for-agent"]}
            answer = client.post(f"/projects/{project_id}/issues", json=issue)
            assert answer.status_code == 201, answer.text


def part(page: Page, project_id: str, mark: str) -> Locator:
    """Locate a part of a project's card."""
    return card(page, project_id).get_by_test_id(mark)


def look_at_cards(page: Page, server: RunyardServer) -> Page:
    """Open the Projects page, unless it is open, and wait until it is connected."""
    if page.url != f"{server.page_url}/projects":
        page.goto(f"{server.url}/projects")
    page.wait_for_function(IS_DRAWN)
    return page


def issues_run(server: RunyardServer, project_id: str) -> list[int]:
    """Return the issue numbers of the project's runs, newest first."""
    return [run["issue"] for run in runs_of(server, project_id)]


def pause(server: RunyardServer, project_id: str) -> list[str]:
    """Pause the project with three AFK runs that die; return their ids."""
    run_ids = []
    with server.client() as client:
        for _ in range(3):
            answer = client.post(f"/projects/{project_id}/afk/start", json={})
            run_ids.append(answer.json()["id"])
            wait_until(server, run_ids[-1], status="died")
            wait_until_released(server, run_ids[-1])
    return run_ids


def check_card_on_a_phone(page: Page, server: RunyardServer, project: str) -> None:
    """Check in both color schemes that a paused card fits a phone, with targets of 44 px."""
    look_at_cards(page, server)
    part(page, project, "start-afk").tap()
    expect(part(page, project, "card-error")).to_be_visible()
    for look in ("light", "dark"):
        page.emulate_media(color_scheme=look)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        small = card(page, project).evaluate(
            """(card) => [...card.querySelectorAll("a, button")].map((e) =>
              [e.textContent, e.getBoundingClientRect()]).filter(([, box]) =>
              box.height < 43.5 || box.width < 43.5).map(([words]) => words)"""
        )
        assert small == []
        assert barriers(page) == []
        picture(page, f"card-phone-{look}")
    page.close()


def test_a_run_is_started_from_a_card_and_nothing_ready_is_an_answer(
    ann: Page, bob: Page, server: RunyardServer, tmp_path: Path
) -> None:
    project = add_project(server, tmp_path, SLEEPS, name="starting")
    start = part(ann, project, "start-afk")
    expect(part(ann, project, "ready-count")).to_have_text("(0 ready)")
    start.click()
    error = part(ann, project, "card-error")
    expect(error).to_contain_text("No ready-for-agent issues to start.")
    expect(error.get_by_test_id("correlation-chip")).to_contain_text("corr ")
    expect(start).to_be_focused()
    picture(ann, "card-nothing-ready")

    write_issues(server, project, 2)
    expect(part(ann, project, "ready-count")).to_have_text("(2 ready)")
    expect(error).to_have_count(0)
    start.dblclick()
    status = part(bob, project, "card-status")
    expect(status).to_have_text(re.compile(r"Running #1 · 00:\d\d"))
    expect(part(ann, project, "ready-count")).to_have_text("(1 ready)")
    expect(start).to_be_focused()
    assert issues_run(server, project) == [1], "a double click started two"
    ann.get_by_role("link", name="Open the run").click()
    expect(ann.get_by_test_id("run-status")).to_contain_text("Running")

    # the second person chooses an issue in the menu, which stays open while the card changes
    part(bob, project, "card-menu").click()
    choose = bob.get_by_test_id("choose-issue")
    expect(choose).to_be_visible()
    stop_runs(server, project)
    expect(status).to_have_text("Idle")
    expect(choose).to_be_visible()
    picture(bob, "card-menu")
    assert barriers(bob) == []
    choose.click()
    sheet = bob.get_by_role("dialog", name="Start AFK run in starting")
    expect(sheet.get_by_test_id("issue-picker")).to_be_visible()
    picture(bob, "card-choose-issue")
    bob.get_by_test_id("start-issue").click()
    expect(status).to_contain_text("Running #2")
    stop_runs(server, project)


def test_the_loop_is_switched_on_a_card_and_everybody_sees_it(
    ann: Page,
    bob: Page,
    server: RunyardServer,
    tmp_path: Path,
    faults: FaultFile,
    record_property: Report,
) -> None:
    project = add_project(server, tmp_path, SLEEPS, name="switching")
    toggle, seen = part(ann, project, "auto-toggle"), part(bob, project, "auto-toggle")
    expect(toggle).to_have_text("Auto AFK runs: Off")
    expect(toggle).to_have_role("button")
    expect(toggle).to_have_accessible_name("Auto AFK runs: Off")
    ann.evaluate(NOTE_PRESSES)
    bob.evaluate(NOTE_WORDS, [f"[data-project='{project}'] [data-testid=auto-toggle]", "On"])
    toggle.dblclick()
    check_delay(ann, bob, record_property)
    expect(toggle).to_have_text("Auto AFK runs: On")
    expect(toggle).to_be_focused()

    gate = faults.gate()
    faults.set({AUTO: {"gate": gate, "times": 1}})
    toggle.click()
    expect(toggle).to_have_text("Saving…")
    toggle.dispatch_event("click")
    gate.touch()
    expect(seen).to_have_text("Auto AFK runs: Off")
    expect(toggle).to_have_text("Auto AFK runs: Off")
    toggle.click()
    expect(seen).to_have_text("Auto AFK runs: On")

    gate = faults.gate()
    faults.set({AUTO: {"drop": "request", "gate": gate, "times": 1}})
    toggle.click()
    expect(toggle).to_have_text("Saving…")
    gate.touch()
    error = part(ann, project, "card-error")
    expect(error).to_contain_text("The server did not answer.")
    expect(toggle).to_have_text("Auto AFK runs: On")
    toggle.click()
    expect(seen).to_have_text("Auto AFK runs: Off")
    expect(error).to_have_count(0)


def test_a_paused_project_says_why_and_after_reset_the_next_issue_starts_by_itself(
    ann: Page, bob: Page, sign_in: OpenPage, server: RunyardServer, tmp_path: Path
) -> None:
    puppet = Puppet(tmp_path / "agent")
    project = add_project(server, tmp_path, DIES, name=PAUSED)
    write_issues(server, project, 3)
    run_ids = pause(server, project)
    check_card_on_a_phone(sign_in(**PHONE), server, project)
    write_issues(server, project, 2)
    with server.client() as client:
        client.put(f"/projects/{project}/afk/auto", json={"enabled": True})
        told = client.patch(f"/projects/{project}", json={"agent_command": puppet.argv})
        assert told.status_code == 200, told.text
    bob.goto(f"{server.url}/projects/{project}")
    bob.wait_for_function(IS_DRAWN)
    for person in (ann, bob):
        expect(person.get_by_test_id("card-status").first).to_have_text("Auto paused · 3 fails")
    reasons = card(ann, project).locator(".fails a")
    expect(reasons).to_have_count(3)
    links = [reasons.nth(n).get_attribute("href") for n in range(3)]
    assert links == [f"/runs/{run_id}" for run_id in reversed(run_ids)]
    expect(card(ann, project)).to_contain_text("agent exited 3")
    expect(ann.get_by_test_id("projects-needs-you")).to_contain_text(PAUSED)
    plan = bob.get_by_test_id("next-plan")
    expect(plan).to_contain_text("Nothing starts: auto runs are paused after 3 fails")
    plan.locator("summary").click()
    expect(plan.get_by_role("listitem").first).to_have_text("#1: parked: afk/1")
    picture(ann, "card-paused")
    picture(bob, "project-paused")
    assert barriers(bob) == []

    part(ann, project, "reset").click()
    # the next timed sweep would be much later
    expect(part(ann, project, "card-status")).to_have_text(re.compile(r"(Starting|Running) #4.*"))
    expect(part(ann, project, "reset")).to_have_count(0)
    expect(part(ann, project, "start-afk")).to_be_focused()
    expect(bob.get_by_test_id("card-status").first).to_contain_text("#4")
    expect(plan).to_contain_text("Nothing starts: an auto run is under way")
    expect(plan.get_by_role("listitem").first).to_be_visible()
    part(ann, project, "auto-toggle").click()
    expect(part(ann, project, "auto-toggle")).to_have_text("Auto AFK runs: Off")
    stop_runs(server, project)
    wait_until_released(server, runs_of(server, project)[0]["id"])


def test_a_start_whose_answer_is_lost_is_pressed_again_and_makes_one_run(
    ann: Page, server: RunyardServer, tmp_path: Path, faults: FaultFile
) -> None:
    page = ann
    project = add_project(server, tmp_path, SLEEPS, name="losing")
    write_issues(server, project, 3)
    start = part(page, project, "start-afk")
    expect(part(page, project, "ready-count")).to_have_text("(3 ready)")
    faults.set({START: {"drop": "answer", "times": 1}})
    start.click()
    error = part(page, project, "card-error")
    expect(error).to_contain_text("The server did not answer. Press it again")
    expect(part(page, project, "card-status")).to_contain_text("Running #1")
    expect(error).to_be_visible()
    picture(page, "card-no-answer")
    start.click()
    expect(page.get_by_role("link", name="Open the run")).to_be_visible()
    expect(error).to_have_count(0)
    assert issues_run(server, project) == [1], "a second run was started"
    start.click()
    expect(part(page, project, "ready-count")).to_have_text("(1 ready)")
    assert issues_run(server, project) == [2, 1], "the next press is another run"

    for status, body, sentence in (
        (409, {"error": "pr_lock", "holder": "run_x"}, "pr_lock contention: see that run"),
        (409, {"error": "concurrency_limit", "detail": "Wait and retry."}, "Wait and retry."),
        (429, {"error": "rate_limited"}, "Rate limit reached. Retry in 00:"),
        (500, {"detail": "Something broke."}, "Something broke."),
    ):
        faults.set({START: {"status": status, "body": body, "times": 1}})
        start.click()
        expect(error).to_contain_text(sentence)
        expect(error.get_by_test_id("correlation-chip")).to_be_visible()
    picture(page, "card-refused")
    gate = faults.gate()
    faults.set({RESET: {"gate": gate, "status": 500, "times": 1}})
    part(page, project, "card-menu").click()
    page.locator(".menu").get_by_test_id("reset").click()
    expect(part(page, project, "reset")).to_have_text("Resetting…")
    gate.touch()
    expect(error).to_contain_text("A test wants it so.")
    expect(part(page, project, "reset")).to_have_count(0)
    stop_runs(server, project)


def test_what_a_card_links_to_stands_on_one_line(
    ann: Page, server: RunyardServer, tmp_path: Path
) -> None:
    puppet = Puppet(tmp_path / "agent")
    project = add_project(server, tmp_path, puppet.argv, name="on one line")
    delivering = start_run(server, project, task="Deliver")
    puppet.tell_to_deliver()
    wait_until(server, delivering, status="succeeded")
    wait_until_released(server, delivering)
    start_run(server, project, task="Work")
    links = card(ann, project).locator(".last a")
    expect(links).to_have_text(["1 to review", "New run"])
    review, new = (link.bounding_box() for link in links.all())
    assert review
    assert new
    assert review["y"] + review["height"] == pytest.approx(new["y"] + new["height"], abs=0.5)
    stop_runs(server, project)
