"""Stands for a control that this person may not use: it is in no page, and takes all calls."""

from __future__ import annotations

from typing import Any, Final


class Absent:
    """A control that is not drawn, so that what shows the others need not ask for each."""

    def __getattr__(self, name: str) -> Absent:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: Any, **__: Any) -> Absent:
        return self

    def __getitem__(self, _: str) -> str:
        return ""

    def __setitem__(self, _: str, __: Any) -> None:
        """Forget it."""

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absent()
