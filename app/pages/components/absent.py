"""The stand-in for a control that this person may not use: on no page, it ignores every call."""

from __future__ import annotations

from typing import Any, Final


class Absent:
    """A control that is not drawn, so that what shows the others need not ask for each.

    It holds nothing, and cannot be looped over or searched, which would never end.
    """

    __slots__ = ()
    __iter__ = None
    __contains__ = None

    def __getattr__(self, name: str) -> Absent:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: Any, **__: Any) -> Absent:
        return self

    def __getitem__(self, _: str) -> str:
        return ""

    def __setitem__(self, _: str, __: Any) -> None:
        """Ignore a property."""

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absent()
