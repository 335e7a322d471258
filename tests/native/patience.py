"""Polling for events on a desktop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_SECONDS = 30.0
_SOON_SECONDS = 3.0
_STEP_SECONDS = 0.1

Seen = TypeVar("Seen")


def until(look: Callable[[], Seen]) -> Seen:
    """Poll `look` until it returns something truthy, and return that."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not (seen := look()):
        assert time.monotonic() < give_up_at, f"never came: {look}"
        time.sleep(_STEP_SECONDS)
    return seen


def comes_soon(look: Callable[[], bool]) -> bool:
    """Poll `look` briefly; return whether it became true, so that the caller may retry."""
    give_up_at = time.monotonic() + _SOON_SECONDS
    while not (seen := look()) and time.monotonic() < give_up_at:
        time.sleep(_STEP_SECONDS)
    return seen
