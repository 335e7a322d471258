"""Port to the carrier of messages to people."""

# stands alone: one port per module, as the adapters behind them

from __future__ import annotations

from typing import Protocol

from app.domain.notifications import Message


class NotTaken(Exception):
    """A receiver did not take a message, or may not have; a sentence without secrets."""


class Notifier(Protocol):
    """Sends messages to receivers, which are addresses that may contain secrets."""

    def problem(self, address: str) -> str | None:
        """Return why an address cannot be used, in a sentence without secrets, or None."""
        ...

    def send(self, address: str, message: Message) -> None:
        """Send a message within a bounded time. Raises NotTaken. Calls may run in parallel.

        A message that timed out may still have been taken.
        """
        ...
