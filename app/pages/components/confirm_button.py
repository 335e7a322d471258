"""ConfirmButton: the first press arms it for five seconds, the second one acts, Esc disarms."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from app.pages.components.buttons import button

ARMED_SECONDS = 5.0


class ConfirmButton:
    """A button that wants to be pressed twice; the arming is kept on the server."""

    def __init__(
        self,
        words: str,
        ask: str,
        act: Callable[[], Awaitable[None]],
        *,
        kind: str = "",
        mark: str = "",
    ) -> None:
        self._words, self._ask, self._act = words, ask, act
        self._timer: ui.timer | None = None
        self.element = button(words, self._press, kind=kind, mark=mark)
        self.element.on("keydown.esc", self.disarm)

    @property
    def is_armed(self) -> bool:
        """True while a second press would act."""
        return self._timer is not None

    def disarm(self) -> None:
        """Go back to the first press."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.element.set_text(self._words)
        self.element.classes(remove="armed")

    def show(self, busy: str) -> None:
        """Say what is going on, and take no press meanwhile; without words it can be pressed.

        A button that is armed stays so: what the page hears meanwhile is no answer to it.
        """
        if busy:
            self.disarm()
            self.element.set_text(busy)
        elif not self.is_armed:
            self.element.set_text(self._words)
        self.element.set_enabled(not busy)

    async def _press(self) -> None:
        if self._timer is None:
            with self.element:
                self._timer = ui.timer(ARMED_SECONDS, self.disarm, once=True)
            self.element.set_text(self._ask)
            self.element.classes("armed")
            return
        self.disarm()
        await self._act()
