"""Test ids: one word is both `data-testid` in the page and the mark in user simulation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from nicegui import ui

Element = TypeVar("Element", bound=ui.element)


def testid(element: Element, word: str, **data: str) -> Element:
    """Mark an element; `data` become `data-…` attributes (`project="p1"` is `data-project`)."""
    more = {f"data-{name}": value for name, value in data.items()}
    return give(element, {"data-testid": word, **more}).mark(word)


def give(element: Element, properties: Mapping[str, Any]) -> Element:
    """Set properties of an element, and have the browser told of them together.

    Unlike `.props("…")`, this takes values that hold quotes.
    """
    dict[str, Any].update(cast("dict[str, Any]", element.props), properties)
    element.update()
    return element


# pytest would collect it as a test because of its name
testid.__test__ = False  # type: ignore[attr-defined]
