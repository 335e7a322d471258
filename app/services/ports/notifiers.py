"""What the services ask of whoever carries messages to people."""

from __future__ import annotations

from typing import Protocol

from app.domain.notifications import Message


class NotTaken(Exception):
    """A receiver has not taken a message, or is not known to; a sentence without any secret."""


class Notifier(Protocol):
    """Carries messages to receivers, which are addresses that may hold secrets."""

    def problem(self, address: str) -> str | None:
        """Why an address cannot be used, in a sentence without any secret, or None."""
        ...

    def send(self, address: str, message: Message) -> None:
        """Hand a message over. Raises NotTaken, within a bounded time; may be called at once.

        What came after the time was up may have been taken nevertheless.
        """
        ...
