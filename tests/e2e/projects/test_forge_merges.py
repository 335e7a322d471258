"""A change that its forge merges by itself, in a browser: waited for, canceled, dropped, merged."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.builders.scenes import expect_no_sideways_scroll
from tests.drivers.servers.processes import RunyardServer
from tests.drivers.web.visibility import barriers
from tests.e2e.projects.test_forge_ci import delivered
from tests.fakes.forges.twin import ForgeTwin

WAITS = "Merges by itself at the forge once its checks pass"


@pytest.fixture
def page(sign_in: Callable[..., Page]) -> Page:
    return sign_in()


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForgeTwin]:
    """A Gitea whose main branch demands a check, with an issue that is ready."""
    with ForgeTwin(tmp_path_factory.mktemp("forge"), "gitea") as twin:
        twin.add_token("TOKEN_BOT")
        shop = twin.add_repository("acme/shop")
        shop.protection.required = ("ci/test",)
        shop.write("Add a", "A file.", "ready-for-agent")
        yield twin


def test_a_merge_that_waits_for_checks_is_shown_canceled_and_made_by_the_forge(
    page: Page, server: RunyardServer, twin: ForgeTwin
) -> None:
    shop = twin.hosted["acme/shop"]
    with server.client() as client:
        path = delivered(client, twin)
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
    expect(page.get_by_test_id("inbox-item")).to_contain_text("Waits for checks")
    expect(page.get_by_test_id("inbox-action")).to_have_text("Open")
    page.goto(f"{server.page_url}{path}")
    cancel.click()
    expect(state).to_have_text("In review")
    expect(page.get_by_text("Not merged by itself: it was canceled.")).to_be_visible()
    assert shop.protection.later == {}
    # asked for again, and made
    page.get_by_test_id("change-merge").click()
    page.get_by_test_id("merge-confirm").click()
    expect(state).to_have_text("Waits for checks")
    with twin.guard:
        shop.check(number)
    expect(state).to_have_text("Merged")
    assert shop.pulls[number]["merged"]
