"""A change at a forge in a browser: red CI, reviews that wait, and merges that the forge makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.builders.scenes import expect_no_sideways_scroll
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.drivers.web.visibility import barriers
from tests.fakes.forges.twin import ForgeTwin

WAITS = "Merges by itself at the forge once its checks pass"
COMMITS = "date +%N >> a.txt && git add -A && git commit -qm 'Mend a'"


@pytest.fixture
def page(sign_in: Callable[..., Page]) -> Page:
    return sign_in()


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForgeTwin]:
    """A Gitea with a repository and an issue that is ready."""
    with ForgeTwin(tmp_path_factory.mktemp("forge"), "gitea") as twin:
        twin.add_token("TOKEN_BOT")
        twin.add_repository("acme/shop").write("Add a", "A file.", "ready-for-agent")
        yield twin


@pytest.fixture(scope="module")
def change(server: RunyardServer, twin: ForgeTwin) -> str:
    """The path of a change at the forge."""
    with server.client() as client:
        return delivered(client, twin)


def delivered(client: httpx.Client, twin: ForgeTwin, name: str = "shop") -> str:
    """Add the forge and its project, run its issue, and return the path of the change."""
    client.post("/forges", json={"url": twin.url, "token": "TOKEN_BOT"}).raise_for_status()
    origin = twin.hosted["acme/shop"].clone_url
    agent = {"agent": "script", "agent_command": ["sh", "-c", COMMITS]}
    added = client.post("/projects", json={"origin": origin, "name": name, **agent})
    assert added.status_code == 201, added.text
    project = f"/projects/{added.json()['id']}"
    wait_for(client, project, lambda one: one["state"] == "ready")
    client.post(f"{project}/afk/start").raise_for_status()
    found = wait_for(client, f"{project}/changes", lambda one: one["items"])
    return f"{project}/changes/{found['items'][0]['number']}"


def test_red_ci_is_shown_on_the_change_and_the_agent_fixes_it_at_a_press(
    page: Page, server: RunyardServer, twin: ForgeTwin, change: str
) -> None:
    shop, path = twin.hosted["acme/shop"], change
    with server.client() as client:
        head = client.get(path).json()["head_sha"]
        page.goto(f"{server.page_url}{path}")
        expect(page.get_by_test_id("change-ci")).to_be_hidden()
        with twin.guard:
            shop.desk.run_job(head, "build", "failure", "make: *** no rule")
        banner = page.get_by_test_id("change-ci")
        expect(banner).to_contain_text("ci.yml / build (push)")
        expect(page.get_by_test_id("change-header")).to_contain_text("CI failed")
        expect_no_sideways_scroll(page)
        [item] = client.get("/inbox").json()["items"]
        assert item["facts"]["ci_failed"]
        told = client.get(path).json()
        failed = {"state": "failed", "failed": ["ci.yml / build (push)"]}
        assert {name: told["ci"][name] for name in failed} == failed
        first = client.get(f"/runs/{told['run_id']}").json()
        assert first["delivery"]["ci"] == told["ci"]
        # the run that opened it may still be letting go of its branch
        wait_for(client, f"/runs/{told['run_id']}", lambda one: one["released_at"])
        page.get_by_role("button", name="Have the agent fix it").click()
        expect(page.get_by_text("The agent fixes it.")).to_be_visible()
        changed = wait_for(client, path, lambda one: one["head_sha"] != head)
        assert changed["head_sha"] == shop.git.tip(shop.place, changed["branch"])
        wait_for(client, path, lambda one: one["ci"]["state"] == "unknown")
        expect(banner).to_be_hidden()
        with twin.guard:
            shop.desk.report(changed["head_sha"], "ci.yml / build (push)", "success")
        expect(page.get_by_test_id("change-header")).to_contain_text("CI passed")


def test_reviews_wait_visibly_once_the_rounds_are_used_up(
    page: Page, server: RunyardServer, twin: ForgeTwin, change: str
) -> None:
    shop = twin.hosted["acme/shop"]
    project, _, number = change.partition("/changes/")
    banner = page.get_by_test_id("change-reviews")
    with server.client() as client:
        client.patch(project, json={"review_rounds": 0}).raise_for_status()
        page.goto(f"{server.page_url}{change}")
        expect(page.get_by_test_id("change-header")).to_be_visible()
        expect(banner).to_be_hidden()
        for words in ("@runyard add a test", "@runyard name it"):
            with twin.guard:
                shop.say(int(number), "acme", words)
        expect(banner).to_contain_text("2 review comments wait for you")
        expect_no_sideways_scroll(page)
        assert barriers(page) == []
        page.goto(server.page_url)
        expect(page.get_by_test_id("inbox-item")).to_contain_text("2 comments")
        page.goto(f"{server.page_url}{change}")
        client.patch(project, json={"review_rounds": 1}).raise_for_status()
        expect(banner).to_be_hidden()
        wait_for(client, change, lambda one: one["reviews_waiting"] == 0)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[ForgeTwin]:
    """A Gitea whose main branch demands a check, with an issue that is ready."""
    with ForgeTwin(tmp_path, "gitea") as twin:
        twin.add_token("TOKEN_BOT")
        shop = twin.add_repository("acme/shop")
        shop.protection.required = ("ci/test",)
        shop.write("Add a", "A file.", "ready-for-agent")
        yield twin


def test_a_merge_that_waits_for_checks_is_shown_canceled_and_made_by_the_forge(
    page: Page, server: RunyardServer, guarded: ForgeTwin
) -> None:
    shop = guarded.hosted["acme/shop"]
    with server.client() as client:
        path = delivered(client, guarded, "guarded")
    number = int(path.rpartition("/")[2])
    page.goto(f"{server.page_url}{path}")
    state, cancel = page.get_by_test_id("change-state"), page.get_by_test_id("change-cancel-merge")
    expect(page.get_by_test_id("change-merge")).to_be_visible()
    expect(cancel).to_be_hidden()
    page.get_by_test_id("change-merge").click()
    page.get_by_test_id("merge-confirm").click()
    expect(page.get_by_test_id("toast")).to_contain_text(WAITS)
    expect(state).to_have_text("Waits for checks")
    expect(page.get_by_text(f"{WAITS}.").first).to_be_visible()
    expect(page.get_by_test_id("change-merge")).to_be_hidden()
    assert list(shop.protection.later) == [number]
    assert barriers(page) == []
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        expect_no_sideways_scroll(page)
        expect(cancel).to_be_in_viewport()
    # in the inbox, too
    page.goto(server.page_url)
    item = page.get_by_test_id("inbox-item").filter(has_text="Waits for checks")
    expect(item).to_be_visible()
    expect(item.get_by_test_id("inbox-action")).to_have_text("Open")
    page.goto(f"{server.page_url}{path}")
    cancel.click()
    expect(state).to_have_text("In review")
    expect(page.get_by_text("Not merged by itself: it was canceled.")).to_be_visible()
    assert shop.protection.later == {}
    # asked for again, and made
    page.get_by_test_id("change-merge").click()
    page.get_by_test_id("merge-confirm").click()
    expect(state).to_have_text("Waits for checks")
    with guarded.guard:
        shop.check(number)
    expect(state).to_have_text("Merged")
    assert shop.pulls[number]["merged"]
