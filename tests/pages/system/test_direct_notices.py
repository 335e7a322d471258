"""The patch that tells an element of its changes by one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from nicegui import core, ui
from nicegui.classes import Classes
from nicegui.element import Element
from nicegui.testing.user import User

from app.server.patches.look_notices import KINDS, tell_elements_directly

CHANGES: dict[str, Callable[[Element], object]] = {
    "a class": lambda one: one.classes("wide"),
    "a property": lambda one: one.props("hidden"),
    "a style": lambda one: one.style("color: red"),
}


@pytest.fixture(autouse=True)
def patched(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in KINDS:
        monkeypatch.setattr(kind, "_handle_change", kind._handle_change)
    tell_elements_directly()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_changed_element_is_sent(user: User, change: Callable[[Element], object]) -> None:
    await user.open("/")
    assert user.client is not None
    with user.client:
        element = ui.element("div")
    user.client.outbox.updates.clear()
    change(element)
    assert list(user.client.outbox.updates) == [element.id]
    # the same once more is no change
    user.client.outbox.updates.clear()
    change(element)
    assert not user.client.outbox.updates


async def test_who_listens_to_a_property_is_told_as_well(user: User) -> None:
    await user.open("/")
    assert user.client is not None
    with user.client:
        element = ui.element("div")
    told: list[object] = []
    element.props.on_change(lambda: told.append(1))
    user.client.outbox.updates.clear()
    element.props["hidden"] = True
    assert told == [1]
    assert list(user.client.outbox.updates) == [element.id]


async def test_an_element_that_cannot_be_told_reports_its_problem(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    await user.open("/")
    assert user.client is not None
    with user.client:
        element = ui.element("div")
    reported: list[Exception] = []
    monkeypatch.setattr(core.app, "handle_exception", reported.append)

    def refuse(_: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(Classes, "_update", refuse)
    element._classes._change_handlers[0] = (element._classes._update, False)
    element.classes("wide")
    assert [str(one) for one in reported] == ["no"]
