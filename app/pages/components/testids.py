"""Test ids: one word is both `data-testid` in the page and the mark in user simulation."""

from __future__ import annotations

from typing import TypeVar

from nicegui import ui

Element = TypeVar("Element", bound=ui.element)


def testid(element: Element, word: str, **data: str) -> Element:
    """Mark an element; `data` become `data-…` attributes (`project="p1"` is `data-project`)."""
    # set by key: `.props("…")` would parse a value that holds quotes
    element.props["data-testid"] = word
    for name, value in data.items():
        element.props[f"data-{name}"] = value
    return element.mark(word)


# pytest would collect it as a test because of its name
testid.__test__ = False  # type: ignore[attr-defined]
