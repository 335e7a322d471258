"""Issues of a forge in a browser, and its repositories added as projects, one or many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.builders.scenes import expect_no_sideways_scroll
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.fakes.forges.people import Person
from tests.fakes.forges.twin import ForgeTwin

COMMITS = ["/bin/sh", "-c", "echo a > a.txt && git add -A && git commit -qm 'Add a'"]
HOSTILE = "<img src=x onerror=alert(1)> \u202e txt"


@pytest.fixture
def page(sign_in: Callable[..., Page]) -> Page:
    return sign_in()


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForgeTwin]:
    """A Forgejo with some repositories and issues."""
    with ForgeTwin(tmp_path_factory.mktemp("forge"), "forgejo") as twin:
        twin.add_token("TOKEN_BOT")
        shop = twin.add_repository("acme/shop")
        first = shop.write("Refuse a negative quantity", "Text.", "ready-for-agent", "bug", "P1")
        shop.issues[first] |= {
            "assignees": [Person("acme").row()],
            "milestone": {"id": 1, "title": "Spring"},
        }
        shop.write("Then the basket", f"Blocked by #{first}", "ready-for-agent", "feature")
        shop.write(HOSTILE, HOSTILE, "docs")
        shop.close(shop.write("Was done before"))
        yield twin


def add_shop(server: RunyardServer, twin: ForgeTwin) -> str:
    """Add the forge and the project; return its id once its issues are known."""
    with server.client() as client:
        added = client.post("/forges", json={"url": twin.url, "token": "TOKEN_BOT"})
        assert added.status_code == 201, added.text
        order = {
            "name": "shop",
            "origin": twin.hosted["acme/shop"].clone_url,
            "agent": "script",
            "agent_command": COMMITS,
        }
        answer = client.post("/projects", json=order)
        assert answer.status_code == 201, answer.text
        project = answer.json()["id"]
        wait_for(client, f"/projects/{project}", lambda one: one["state"] == "ready")
        wait_for(client, f"/projects/{project}/counts", lambda one: one["open_issues"] == 3)
    return project


def test_issues_of_a_forge_are_read_here_and_edited_there(
    page: Page, server: RunyardServer, twin: ForgeTwin
) -> None:
    project = add_shop(server, twin)
    page.goto(f"{server.page_url}/issues?project={project}")
    rows = page.get_by_test_id("issue-row")
    expect(rows).to_have_count(3)
    first = rows.filter(has_text="Refuse a negative quantity")
    expect(first).to_contain_text("Auto is off")
    expect(first).to_contain_text("acme")
    there = first.get_by_test_id("at-forge")
    expect(there).to_have_attribute("href", f"{twin.url}/acme/shop/issues/1")
    expect(rows.filter(has_text="Then the basket")).to_contain_text("Blocked by #1, ready")
    expect(rows.filter(has_text="onerror")).to_contain_text("Not marked ready for an agent")
    expect(rows.filter(has_text="onerror")).not_to_contain_text('">')
    expect_no_sideways_scroll(page)

    page.goto(f"{server.page_url}/projects/{project}/issues?view=board")
    expect(page.get_by_test_id("board-card")).to_have_count(4)
    expect(page.locator("[draggable=true]")).to_have_count(0)
    new = page.get_by_test_id("new-issue-there")
    expect(new).to_have_attribute("href", f"{twin.url}/acme/shop/issues/new")
    expect(page.get_by_test_id("new-issue")).to_be_hidden()
    expect(page.get_by_test_id("issues-told")).to_contain_text("write and edit them there")
    # somebody changes it at the forge
    twin.hosted["acme/shop"].issues[1]["title"] = "Refuse a quantity below one"
    card = page.get_by_test_id("board-card").filter(has_text="Refuse a quantity below one")
    expect(card).to_be_visible(timeout=45_000)

    page.get_by_text("Refuse a quantity below one").click()
    page.wait_for_url("**/issues/1")
    facts = page.get_by_test_id("issue-facts")
    expect(facts).to_contain_text("Spring")
    expect(facts.get_by_test_id("at-forge")).to_have_text("Open at its forge ↗")
    expect(page.get_by_test_id("edit-issue")).to_have_count(0)
    page.get_by_test_id("start-issue").click()
    with server.client() as client:
        path = f"/projects/{project}/changes"
        wait_for(client, path, lambda one: one["items"])
    page.goto(f"{server.page_url}/projects/{project}/issues")
    expect(page.locator("[data-group=review]")).to_contain_text("In review")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForgeTwin]:
    """A Gitea with repositories that can be projects, and some that cannot."""
    with ForgeTwin(tmp_path_factory.mktemp("other"), "gitea") as twin:
        twin.add_token("TOKEN_BOT")
        twin.add_token("TOKEN_REPO_ONLY", "bot", "write:repository", "read:user")
        for name in ("acme/shop", "acme/site", "acme/tool", "club/site"):
            twin.add_repository(name)
        twin.add_repository("club/rules", writers=())
        yield twin


def test_a_missing_token_is_asked_for_where_the_repository_is_added(
    page: Page, server: RunyardServer, other: ForgeTwin
) -> None:
    page.goto(f"{server.page_url}/projects/add")
    origin, box = page.get_by_test_id("project-origin"), page.get_by_test_id("project-forge")
    origin.fill(other.hosted["acme/tool"].clone_url)
    expect(box).to_contain_text(f"{other.url} is a Gitea that Runyard has no token for yet.")
    expect(box).to_contain_text("It needs the scopes write:repository, write:issue and read:user.")
    page.get_by_test_id("project-agent").fill("script")
    page.get_by_test_id("project-command").fill('["/bin/true"]')
    asked = len(other.asked)
    page.get_by_test_id("project-submit").click()
    expect(page.get_by_test_id("field-error")).to_contain_text("Give a token with the scopes")
    assert len(other.asked) == asked, "an empty token was sent"
    page.get_by_test_id("project-token").fill("TOKEN_REVOKED")
    page.get_by_test_id("project-connect").click()
    expect(page.get_by_test_id("field-error")).to_contain_text("refused the token")
    page.get_by_test_id("project-token").fill("TOKEN_REPO_ONLY")
    page.get_by_test_id("project-connect").click()
    expect(box).to_contain_text("acts as bot, may push, may open pull requests")
    expect(box).to_contain_text("The token lacks write:issue.")
    page.get_by_test_id("project-token").fill("TOKEN_BOT")
    page.get_by_test_id("project-token").press("Enter")
    expect(box).to_contain_text("may open pull requests, may change issues.")
    expect(page.get_by_test_id("project-token")).to_be_hidden()
    expect_no_sideways_scroll(page)
    page.get_by_test_id("project-submit").click()
    page.wait_for_url("**/projects/proj_*")
    project = page.url.rpartition("/")[2].partition("?")[0]
    with server.client() as client:
        assert client.get(f"/projects/{project}").json()["tracker"] == "gitea"


def test_many_repositories_are_imported_at_once_and_a_refusal_stands_in_its_row(
    page: Page, server: RunyardServer, other: ForgeTwin
) -> None:
    with server.client() as client:
        sent = client.post("/forges", json={"url": other.url, "token": "TOKEN_BOT"})
        assert sent.status_code in (201, 409), sent.text
    page.goto(f"{server.page_url}/settings?tab=Forges")
    card = page.locator("[data-forge]").filter(has_text=other.url)
    card.get_by_test_id("forge-import").click()
    rows = page.get_by_test_id("import-row")
    expect(rows).to_have_count(5)
    barred = page.locator("[data-repository='club/rules']")
    expect(barred).to_contain_text("Cannot be added: bot may not push to it")
    expect(barred.get_by_role("checkbox")).to_be_disabled()
    page.get_by_test_id("import-filter").fill("site")
    expect(rows).to_have_count(2)
    page.get_by_test_id("import-all").click()
    page.get_by_test_id("import-filter").fill("")
    expect(rows).to_have_count(5)
    page.get_by_test_id("import-submit").click()
    expect(page.get_by_test_id("field-error")).to_contain_text("Choose an agent")
    page.get_by_test_id("import-agent").fill("claude")
    # one that is gone by the time it is added
    del other.hosted["club/site"]
    expect_no_sideways_scroll(page)
    page.get_by_test_id("import-submit").click()
    expect(page.get_by_test_id("import-progress")).to_have_text("1 of 2 added · 1 refused")
    expect(page.locator("[data-repository='acme/site']")).to_contain_text("Added as site")
    gone = page.locator("[data-repository='club/site']")
    expect(gone).to_contain_text("shows bot no repository club/site")
    expect(gone.get_by_role("checkbox")).to_be_checked()
    expect(page.get_by_test_id("import-submit")).to_have_text("Import 1 project")
