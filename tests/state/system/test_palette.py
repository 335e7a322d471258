"""The groups of the search palette, for what is typed and what the server found."""

from __future__ import annotations

import pytest

from app.api.schemas import ProjectOut, SearchOut
from app.api.schemas.search import ProjectFound, TitleFound
from app.pages.shell.palette import highlighted
from app.state.system.palette import asks_server, groups_of, scope_of
from tests.builders.run_samples import project_of

LEDGER = project_of(id="p1", name="ledger", strikes=3, paused=True, ready_count=2)
SHOP = project_of(id="p2", name="shop", ready_count=0)
BOTH: tuple[ProjectOut, ...] = (LEDGER, SHOP)
TITLE = TitleFound(
    kind="change",
    project_id="p1",
    project_name="ledger",
    number=4,
    title="Round tax",
    state="open",
    is_ready=False,
    created_at=LEDGER.created_at,
)
FOUND = SearchOut(projects=[ProjectFound(id="p1", name="ledger")], titles=[TITLE], runs=[])


def anything(_: str, __: str | None) -> bool:
    """Let the person do anything."""
    return True


@pytest.mark.parametrize(
    ("text", "scope", "words", "is_asked"),
    [
        ("", "all", "", False),
        ("  ledg ", "all", "ledg", True),
        ("> reset", "commands", "reset", False),
        (">", "commands", "", False),
        ("#32", "issues", "32", True),
        ("#", "issues", "", False),
    ],
)
def test_the_first_sign_says_where_to_search(
    text: str, scope: str, words: str, is_asked: bool
) -> None:
    assert (*scope_of(text), asks_server(text)) == (scope, words, is_asked)


def test_a_project_that_is_named_brings_its_actions_and_what_was_found() -> None:
    shown = {group.name: group.entries for group in groups_of("ledg", BOTH, FOUND, anything)}
    assert list(shown) == ["Projects", "Actions", "Issues and changes"]
    assert [(one.title, one.note) for one in shown["Projects"]] == [
        ("ledger", "Auto paused · 3 fails")
    ]
    assert [(one.title, one.command) for one in shown["Actions"]] == [
        ("Reset ledger", "reset"),
        ("Start AFK run in ledger", "start"),
        ("New run in ledger", None),
        ("Issues of ledger", None),
    ]
    [entry] = shown["Issues and changes"]
    assert (entry.href, entry.note) == ("/projects/p1/changes/4", "ledger #4 · in review")


def test_commands_are_those_of_all_projects_and_the_pages() -> None:
    [group] = groups_of("> start", BOTH, None, anything)
    # nothing is ready in the shop
    assert [one.title for one in group.entries] == ["Start AFK run in ledger"]
    assert groups_of("> no such thing", BOTH, None, anything) == []


def test_issues_alone_are_shown_after_their_sign() -> None:
    groups = groups_of("#4", BOTH, FOUND, anything)
    assert [group.name for group in groups] == ["Issues and changes"]


@pytest.mark.parametrize(
    ("title", "words", "html"),
    [
        ("Round tax", "TAX", "Round <mark>tax</mark>"),
        ("<b>tax</b>", "<b>", "<mark>&lt;b&gt;</mark>tax&lt;/b&gt;"),
        ("a.c abc", "a.c", "<mark>a.c</mark> abc"),
        ("safe", "", "safe"),
    ],
)
def test_searched_words_are_marked_and_everything_is_escaped(
    title: str, words: str, html: str
) -> None:
    assert highlighted(title, words) == html
