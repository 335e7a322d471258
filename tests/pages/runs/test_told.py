"""Prompts on pages: the folded section of a run's page, and the preview in the form."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from nicegui.testing.user import User

from app.api.schemas import TurnOut
from app.domain.agents.prompts import Prompt
from app.pages.runs.told import NOTHING, PAUSE, turns_html
from tests.builders.run_scenes import DIES, add_project, ended_run
from tests.drivers.web.page_calls import HeldCalls, come_back
from tests.pages.conftest import House, html_of, until

AT = datetime(2026, 11, 23, tzinfo=UTC)


def turn(**values: Any) -> TurnOut:
    return TurnOut(**{"n": 1, "text": "Do it.", "at": AT} | values)


def open_section(user: User) -> None:
    (fold,) = user.find(marker="run-prompt").elements
    assert fold.client
    for listener in fold._event_listeners.values():
        if listener.type == "toggle":
            fold._handle_event({"listener_id": listener.id, "args": True})


async def test_a_run_page_says_what_it_was_told_once_the_section_is_opened(
    house: House, user: User, tmp_path: Path
) -> None:
    run = await ended_run(house, user, tmp_path, task="Reject <b>expired</b> coupons")
    await user.open(f"/runs/{run.id}")
    await user.should_see("What it was told")
    # folded, it tells its length
    (told,) = (await house.api_of(user).prompt(run.id)).turns
    await until(lambda: f"{len(told.text.split())} words" in html_of(user))
    assert "You are on branch" not in html_of(user)
    open_section(user)
    await until(lambda: "You are on branch" in html_of(user))
    assert "Reject &lt;b&gt;expired&lt;/b&gt; coupons" in html_of(user)
    house.plane.services.prompts.keep(run.id, 2, Prompt("Go on."))
    await come_back(user)
    await until(lambda: "Go on." in html_of(user))


async def test_the_form_shows_the_prompt_and_follows_what_is_typed(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    await user.open(f"/projects/{project.id}/run")
    await until(lambda: "Run the tests of this repository" in html_of(user))
    await user.should_see("What it will be told · fix-tests@1")
    user.find(marker="task").type("Reject expired coupons")
    await until(lambda: "Reject expired coupons\n\nWork as you would" in html_of(user))
    await user.should_not_see("fix-tests@1")


async def test_a_late_answer_never_shows_an_older_prompt(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    await user.open(f"/projects/{project.id}/run?task=the+first")
    calls = HeldCalls(user, "/api/v1/runs/preview")
    await until(lambda: calls.asked)
    user.find(marker="task").clear().type("the second")
    with pytest.raises(TimeoutError):
        await calls.next_asked(2 * PAUSE)
    calls.let_go()
    await until(lambda: "the second\n" in html_of(user))
    assert "the first" not in html_of(user)


@pytest.mark.parametrize(
    ("turns", "html"),
    [
        ([], f'<p class="sub">{NOTHING}</p>'),
        ([turn()], '<pre class="task prompt-text" tabindex="0">Do it.</pre>'),
        (
            [turn(template="a", version=3, text="1\n\x1b[2J\u202e<b>")],
            '<p class="sub">from template a@3</p>'
            '<pre class="task prompt-text" tabindex="0">1\n<i class="esc">\\x1b</i>[2J'
            '<i class="esc">\\u202e</i>&lt;b&gt;</pre>',
        ),
        (
            [turn(), turn(n=2, text="Go on.")],
            '<p class="sub">Turn 1</p><pre class="task prompt-text" tabindex="0">Do it.</pre>'
            '<p class="sub">Turn 2</p><pre class="task prompt-text" tabindex="0">Go on.</pre>',
        ),
    ],
)
def test_turns_are_shown_with_their_templates_and_hidden_characters(
    turns: list[TurnOut], html: str
) -> None:
    assert turns_html(turns) == html
