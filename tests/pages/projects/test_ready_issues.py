"""The count of ready issues over all projects, and the link to them."""

from __future__ import annotations

from pathlib import Path

import pytest
from nicegui.testing.user import User

from app.api.schemas import NewIssue
from app.pages.tracker.issues import ready_words
from tests.builders.run_scenes import DIES, add_project
from tests.pages.conftest import House, html_of, until


@pytest.mark.parametrize(
    ("count", "words"), [(None, "ready: not known"), (0, "none ready"), (3, "3 ready")]
)
def test_what_is_not_known_is_not_none(count: int | None, words: str) -> None:
    assert ready_words(count) == words


async def test_an_issue_that_becomes_ready_is_counted_on_the_open_page(
    house: House, user: User, tmp_path: Path
) -> None:
    await user.open("/issues")
    await user.should_see("No projects yet.")
    project = await add_project(house, user, tmp_path, DIES, "<b>shop</b>")
    await until(lambda: "none ready" in html_of(user))
    assert "&lt;b&gt;shop&lt;/b&gt;" in html_of(user)
    (row,) = user.find(marker="project-issues").elements
    issue = NewIssue(title="Mend it", labels=["ready-for-agent"])
    await house.api_of(user).add_issue(project.id, issue)
    await until(lambda: '<b class="ready">1 ready</b>' in html_of(user))
    assert user.find(marker="project-issues").elements == {row}
    assert f'href="/projects/{project.id}/issues"' in html_of(user)
    await user.should_see("1 ready")
