"""The first answer's HTML: the words of the page, escaped, with controls that do not react."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from nicegui import ui
from nicegui.testing.user import User
from structlog.testing import capture_logs

from app.api.schemas import NewIssue
from tests.pages.conftest import House
from tests.pages.projects.test_projects_page import HOSTILE, add

HOSTILE_TEXT = "</title></div><script>alert(1)</script><b onclick=alert(1)>`${alert(1)}`"
VOID = {"br", "hr", "img", "input"}
CONTROLS = {"button", "input", "select", "summary", "textarea"}


class FirstContent(HTMLParser):
    """The elements inside the mount point of an answer."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.words = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.live_controls: list[str] = []
        self._open: list[tuple[str, bool]] = []
        inside = html.partition('<div id="app">')[2].partition('<div id="nicegui-keep-alive')[0]
        self.feed(inside)
        assert [tag for tag, _ in self._open] == [], "not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an element, and whether it is inert."""
        values = dict(attrs)
        is_inert = "inert" in values or any(inert for _, inert in self._open)
        self.tags.append((tag, values))
        if tag in CONTROLS and not is_inert and values.get("type") != "hidden":
            self.live_controls.append(self.get_starttag_text() or tag)
        if tag not in VOID:
            self._open.append((tag, is_inert))

    def handle_endtag(self, tag: str) -> None:
        """Close the mount point or the innermost element, which has to be this one."""
        if not self._open:
            assert tag == "div", "closes what it has not opened"
            return
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        """Add words."""
        self.words += data


async def first_content(user: User, path: str) -> FirstContent:
    """Open a page and return its first content."""
    answer = await user.http_client.get(path)
    assert answer.status_code == 200
    return FirstContent(answer.text)


@pytest.fixture
async def project_id(house: House, user: User, tmp_path: Path) -> str:
    """A project whose name and issue are hostile."""
    project = await add(house, user, tmp_path, HOSTILE)
    issue = NewIssue(title=HOSTILE_TEXT, body=f"# {HOSTILE_TEXT}", labels=["ready-for-agent"])
    await house.api_of(user).add_issue(project.id, issue)
    return project.id


async def test_the_first_answer_holds_the_words_of_the_cards(user: User, project_id: str) -> None:
    found = await first_content(user, "/")
    for words in ("Projects", HOSTILE, "Idle", "main · builtin · script", "Start AFK run"):
        assert words in found.words
    cards = [values for _, values in found.tags if values.get("data-testid") == "project-card"]
    assert [card["data-project"] for card in cards] == [project_id]


PAGES = (
    "/",
    "/projects/{}",
    "/projects/{}/issues/1",
    "/projects/{}?tab=settings",
    "/projects/{}?tab=charts",
    "/projects/{}/run",
    "/projects/add",
    "/runs",
    "/issues",
    "/parked",
    "/quota",
    "/settings",
    "/guide",
)


@pytest.mark.parametrize("path", PAGES)
async def test_nothing_in_it_runs_and_no_control_reacts(
    user: User, project_id: str, path: str
) -> None:
    found = await first_content(user, path.format(project_id))
    assert "Runyard" in found.words
    tags = {tag for tag, _ in found.tags}
    assert tags.isdisjoint({"script", "style", "iframe", "object", "embed", "base", "link", "meta"})
    names = {name for _, values in found.tags for name in values}
    assert {name for name in names if not re.fullmatch(r"[a-z][a-z-]*", name)} == set()
    assert {name for name in names if name.startswith("on")} == set()
    for _, values in found.tags:
        assert not (values.get("href") or "").lower().startswith(("javascript:", "data:"))
    assert found.live_controls == []


async def test_a_hostile_issue_is_words(user: User, project_id: str) -> None:
    found = await first_content(user, f"/projects/{project_id}/issues/1")
    assert found.words.count("<script>alert(1)</script>") >= 2, "title and text"
    links = [values["href"] for tag, values in found.tags if tag == "a" and "href" in values]
    assert f"/projects/{project_id}" in " ".join(map(str, links)), "links are links"


@pytest.mark.parametrize("look", ["dark", "light", "", '"><script>'])
async def test_a_pinned_look_is_that_of_the_first_answer(user: User, look: str) -> None:
    user.http_client.cookies.set("runyard_look", look)
    answer = await user.http_client.get("/")
    known = look in ("dark", "light")
    assert (f'data-theme="{look}"' in answer.text) == known
    assert f'content="{look if known else "light dark"}"' in answer.text
    assert "<script>&quot;" not in answer.text


async def test_scripts_and_sheets_are_named_by_their_hash(user: User) -> None:
    html = (await user.http_client.get("/")).text
    ours = re.findall(r"\"(/assets/[^\"]+\.(?:css|js)[^\"]*)\"", html)
    assert ours
    assert [name for name in ours if not re.search(r"\?v=[0-9a-f]{16}$", name)] == []
    assert html.count("modulepreload") >= 3


async def test_a_page_whose_content_cannot_be_drawn_is_left_to_its_scripts(user: User) -> None:
    @ui.page("/odd")
    def odd_page() -> None:
        ui.html("words", sanitize=str).props["innerHTML"] = 7

    with capture_logs() as said:
        answer = await user.http_client.get("/odd")
    assert (answer.status_code, '<div id="app"></div>' in answer.text) == (200, True)
    assert "first_content_failed" in [line["event"] for line in said]
