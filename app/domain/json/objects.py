"""Telling a parsed JSON object from other values, with its type."""

from __future__ import annotations

from typing import Any, TypeGuard


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Return True for a dict, as which a JSON object is parsed."""
    return isinstance(value, dict)
