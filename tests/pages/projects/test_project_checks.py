"""Checks on a project's page: edited as rows, suggested by a card, tried again by a button."""

from __future__ import annotations

from typing import Any

import pytest
from nicegui.testing.user import User

from app.api.schemas import CheckOut, ProjectChange, ProjectOut
from tests.pages.conftest import House, html_of, until
from tests.pages.projects.conftest import open_settings

SENTENCE = "Check “tests” could not be started: make was not found."
SUGGESTED = [{"name": "make test", "command": ["make", "test"]}]


def marked(person: User, mark: str) -> list[Any]:
    """Return the elements with a mark, in the order of the page."""
    found = person.find(marker=mark).elements
    return sorted(found, key=lambda one: int(one.id))


def type_row(person: User, place: int, name: str, command: str) -> None:
    marked(person, "check-name")[place].set_value(name)
    marked(person, "check-command")[place].set_value(command)


async def test_rows_are_added_moved_and_saved(
    house: House, user: User, project: ProjectOut
) -> None:
    await open_settings(user, project)
    for place, (name, command) in enumerate([("tests", "make test"), ("lint", "ruff check .")]):
        user.find(marker="add-check").click()
        await until(lambda place=place: len(user.find(marker="check-name").elements) > place)
        type_row(user, place, name, command)
    marked(user, "check-required")[1].set_value(False)
    _press(marked(user, "move-check")[1])
    await user.should_see("1 change not saved")
    user.find(marker="save-settings").click()
    await user.should_see("Saved.")
    now = await house.api_of(user).project(project.id)
    assert now.checks == [
        CheckOut(name="lint", command=["ruff", "check", "."], required=False),
        CheckOut(name="tests", command=["make", "test"]),
    ]


async def test_a_row_is_moved_and_removed_where_it_stands(
    house: House, user: User, project: ProjectOut
) -> None:
    checks = [{"name": name, "command": ["make", name]} for name in ("a", "b", "c")]
    change = ProjectChange.model_validate({"checks": checks})
    await house.api_of(user).change_project(project.id, change)
    await open_settings(user, project)
    rows = dict(zip("abc", marked(user, "check-row"), strict=True))
    up, down, remove = (
        marked(user, mark) for mark in ("move-check", "move-check-down", "remove-check")
    )
    _press(up[0])  # does nothing: it is the first
    assert up[0].props["aria-disabled"] == "true"
    await user.should_not_see("1 change not saved")
    _press(down[0])
    assert _order(rows) == "bac"
    assert "“a” is check 2 of 3 now." in html_of(user)
    _press(remove[1])
    assert "Removed “b”." in html_of(user)
    _press(up[2])
    user.find(marker="save-settings").click()
    await user.should_see("Saved.")
    now = await house.api_of(user).project(project.id)
    assert [one.name for one in now.checks] == ["c", "a"]


def _press(made: Any) -> None:
    """Press one of several buttons of the same kind."""
    for listener in list(made._event_listeners.values()):
        if listener.type == "click":
            made._handle_event({"listener_id": listener.id, "args": {}})


def _order(rows: dict[str, Any]) -> str:
    """Return the names of the rows in the order of the page."""
    shown = rows["a"].parent_slot.children
    return "".join(sorted(rows, key=lambda name: shown.index(rows[name])))


async def test_a_row_that_is_wrong_is_told_and_kept(user: User, project: ProjectOut) -> None:
    await open_settings(user, project)
    user.find(marker="add-check").click()
    await user.should_see(marker="check-name")
    type_row(user, 0, "tests", "make 'x")
    user.find(marker="save-settings").click()
    await until(lambda: "A quote in the command of “tests” is not closed." in html_of(user))
    assert marked(user, "check-command")[0].value == "make 'x"


async def test_rows_of_somebody_else_are_shown_where_nothing_was_typed(
    house: House, user: User, project: ProjectOut
) -> None:
    await open_settings(user, project)
    change = {"checks": [{"name": "tests", "command": ["make", "all tests"]}]}
    await house.api_of(user).change_project(project.id, ProjectChange.model_validate(change))
    await user.should_see(marker="check-name")
    assert marked(user, "check-command")[0].value == "make 'all tests'"


@pytest.mark.parametrize(("press", "kept"), [("keep-checks", 1), ("decline-checks", 0)])
async def test_the_card_is_there_until_it_is_answered(
    house: House, user: User, project: ProjectOut, press: str, kept: int
) -> None:
    house.plane.ledgers.projects.change(project.id, suggested_checks=SUGGESTED)
    await user.open(f"/projects/{project.id}")
    await user.should_see("Run these before delivery?")
    user.find(marker=press).click()
    await user.should_not_see("Run these before delivery?")
    now = await house.api_of(user).project(project.id)
    assert (len(now.checks), now.suggested_checks) == (kept, [])


async def test_a_check_that_could_not_be_started_is_on_the_card_and_can_be_tried_again(
    house: House, user: User, project: ProjectOut
) -> None:
    house.plane.ledgers.projects.change(project.id, checks_error=SENTENCE)
    await user.open(f"/projects/{project.id}")
    assert SENTENCE in html_of(user)
    (controls,) = user.find(marker="project-controls").elements
    assert controls.props["presses"][0][:2] == ("try-checks", "Try again")
    user.find(marker="project-controls").trigger("press", "try-checks")
    await until(lambda: house.plane.ledgers.projects.find(project.id).checks_error is None)
