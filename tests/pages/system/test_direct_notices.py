"""The patches that spare an element the search for handlers and bindings it does not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from nicegui import binding, core, ui
from nicegui.binding import BindableProperty
from nicegui.classes import Classes
from nicegui.element import Element
from nicegui.testing.user import User

from app.server.patches import unbound_values
from app.server.patches.look_notices import KINDS, tell_elements_directly
from app.server.patches.unbound_values import follow_bindings_only, propagate

CHANGES: dict[str, Callable[[Element], object]] = {
    "a class": lambda one: one.classes("wide"),
    "a property": lambda one: one.props("hidden"),
    "a style": lambda one: one.style("color: red"),
}


@pytest.fixture(autouse=True)
def patched(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in KINDS:
        monkeypatch.setattr(kind, "_handle_change", kind._handle_change)
    monkeypatch.setattr(binding, "_propagate", binding._propagate)
    tell_elements_directly()
    follow_bindings_only()


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


class Lamp:
    is_on = BindableProperty()

    def __init__(self) -> None:
        self.is_on = False


def test_a_bound_value_follows_and_one_without_bindings_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second, alone = Lamp(), Lamp(), Lamp()
    binding.bind_to(first, "is_on", second, "is_on")
    first.is_on = True
    assert second.is_on
    searched: list[object] = []
    monkeypatch.setattr(unbound_values, "_propagate", lambda *of: searched.append(of))
    alone.is_on = True
    first.is_on = False
    assert searched == [(first, ("is_on",))]
    assert binding._propagate is propagate
    binding.remove([first, second])
