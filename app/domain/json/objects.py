"""Telling parsed JSON objects and arrays from other values, with their types."""

from __future__ import annotations

from typing import Any, TypeGuard


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Return True for a dict, as which a JSON object is parsed."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Return True for a list, as which a JSON array is parsed."""
    return isinstance(value, list)
