"""A question that NiceGUI puts to the same three methods at every element, answered once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import MethodType
from typing import Any

from nicegui import helpers

_ask = helpers.expects_arguments


def remember_signatures() -> None:
    """Let NiceGUI remember of methods whether they expect arguments; safe to repeat.

    Asked anew, it is a fifth of what a page of cards costs: `inspect.signature` three times an
    element. Methods are the program's own, so there are only so many.
    """
    helpers.expects_arguments = expects_arguments


def expects_arguments(func: Callable[..., Any]) -> bool:
    """True where a call needs arguments, as NiceGUI's own function of this name says it."""
    return _of_method(func.__func__) if isinstance(func, MethodType) else _ask(func)


@lru_cache(1024)
def _of_method(func: Callable[..., Any]) -> bool:
    # bound to whatever it is, a method takes the same
    return _ask(MethodType(func, func))
