"""The fields of a browser's events, and the attributes that elements last gave it."""

from __future__ import annotations

from typing import Any, cast

from nicegui.element import Element


def detail_of(sent: object) -> dict[str, Any]:
    """Return the fields of an event's arguments; empty if a browser sent anything else."""
    return cast("dict[str, Any]", sent) if isinstance(sent, dict) else {}


def prop_of(element: Element, name: str) -> object:
    """Return an element's attribute as the browser has it, None without one."""
    return cast("dict[str, object]", element.props).get(name)
