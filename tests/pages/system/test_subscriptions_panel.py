"""Settings, Notifications: a person chooses what is sent, project by project."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import pytest
from nicegui.testing.user import User
from nicegui.testing.user_interaction import UserInteraction

from app.api.client.client import ApiProblem
from tests.builders.run_scenes import DELIVERS, add_project
from tests.pages.conftest import PATIENCE_SECONDS, House, until


def boxes(user: User) -> dict[str, list[str]]:
    """Return the kinds that are ticked, by project id."""
    found: dict[str, list[str]] = {}
    for row in user.find(marker="subscription-row").elements:
        inputs = [one for one in row.descendants() if one.props.get("type") == "checkbox"]
        ticked = [str(one.props["data-kind"]) for one in inputs if one.props.get("checked")]
        found[row.props["data-project"]] = ticked
    return found


async def test_a_choice_for_one_project_begins_with_that_for_all_and_is_removed(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DELIVERS)
    every = ["needs_you", "delivered", "failed", "paused"]
    other = await house.sign_in()
    for one in (user, other):
        await one.open("/settings?tab=notifications")
        assert boxes(one) == {"all": every}
    with user:
        [picker] = cast(Any, user.find(marker="subscribe-project").elements)
        picker.set_value(project.id)
    await until(lambda: boxes(user) == {"all": every, project.id: every})
    api = house.api_of(user)
    await api.subscribe(project.id, ["failed"])
    for one in (user, other):
        await until(lambda one=one: boxes(one) == {"all": every, project.id: ["failed"]})
    user.find(marker="unsubscribe").click()
    await until(lambda: boxes(other) == {"all": every})


@pytest.mark.parametrize(
    ("project_id", "kinds", "status"), [("nobody", ["failed"], 404), (None, ["digest"], 422)]
)
async def test_a_choice_that_makes_no_sense_is_refused(
    house: House, user: User, project_id: str | None, kinds: list[str], status: int
) -> None:
    await user.open("/settings?tab=notifications")
    with pytest.raises(ApiProblem) as refused:
        await house.api_of(user).subscribe(project_id, kinds)
    assert refused.value.status == status
    assert boxes(user) == {"all": ["needs_you", "delivered", "failed", "paused"]}


async def test_two_boxes_ticked_at_once_are_both_saved_and_keep_their_elements(
    house: House, user: User
) -> None:
    await user.open("/settings?tab=notifications")
    (row,) = user.find(marker="subscription-row").elements
    found = {
        str(one.props["data-kind"]): one
        for one in row.descendants()
        if one.props.get("type") == "checkbox"
    }
    for kind in ("delivered", "paused"):  # the second before the first is answered
        UserInteraction(user, {found[kind]}, None).trigger("change")
    await until(lambda: boxes(user) == {"all": ["needs_you", "failed"]})

    async def chosen() -> list[list[str]]:
        return [list(one.kinds) for one in (await house.api_of(user).subscriptions()).items]

    deadline = time.monotonic() + PATIENCE_SECONDS
    while await chosen() != [["needs_you", "failed"]]:
        assert time.monotonic() < deadline, "waited in vain"
    # the focus stays where it was: the row was not drawn anew
    assert user.find(marker="subscription-row").elements == {row}
    assert all(not one.is_deleted for one in found.values())
