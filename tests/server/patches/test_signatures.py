"""The patch that caches NiceGUI's inspection of element methods, with the same results."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from nicegui import helpers

from app.server.patches import signatures


class Element:
    def plain(self) -> None: ...

    def of_one(self, event: Any) -> None: ...

    def of_any(self, *args: Any, **kwargs: Any) -> None: ...

    def with_default(self, event: Any = None) -> None: ...

    def of_keyword(self, *, event: Any) -> None: ...

    @classmethod
    def of_class(cls, event: Any) -> None: ...

    @staticmethod
    def of_nobody(event: Any) -> None: ...


HANDLERS: dict[str, Callable[..., Any]] = {
    **{name: getattr(Element(), name) for name in vars(Element) if not name.startswith("__")},
    "a function": lambda event: None,
    "a function of nothing": lambda: None,
    "a part": partial(Element().of_one, 1),
    "a built-in method": [].append,
}


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS)
def test_the_answer_is_nicegui_s(handler: Callable[..., Any]) -> None:
    asked = getattr(helpers.functions, "expects_arguments")  # noqa: B009
    assert [signatures.expects_arguments(handler) for _ in range(2)] == [asked(handler)] * 2


def test_a_method_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[object] = []
    monkeypatch.setattr(signatures, "_inspect", lambda func: bool(looks.append(func)))

    class Other(Element):
        def own(self) -> None: ...

    for _ in range(3):
        signatures.expects_arguments(Other().own)
    assert len(looks) == 1
