"""Ports to the carriers of messages to people."""

# stands alone: one port per module, as the adapters behind them

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from app.domain.notifications import Message


class NotTaken(Exception):
    """A receiver did not take a message, or may not have; a sentence without secrets.

    `retry_after` is the time in seconds for which it asked for no other one.
    """

    def __init__(self, because: str, *, retry_after: float | None = None) -> None:
        super().__init__(because)
        self.retry_after = retry_after


class ReceiverGone(NotTaken):
    """A receiver no longer exists, and never will again."""


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


@dataclass(frozen=True)
class PushTarget:
    """A browser's subscription at its push service; all three come from the browser."""

    endpoint: str = field(repr=False)
    p256dh: str = field(repr=False)
    auth: str = field(repr=False)


@dataclass(frozen=True)
class PushSender:
    """The sender of a push: its private key, and an https or mailto address of its operator."""

    key: str = field(repr=False)
    contact: str


class Pusher(Protocol):
    """Sends messages to browsers by web push, encrypted for each of them."""

    def make_key(self) -> str:
        """Make a private key."""
        ...

    def public_key(self, key: str) -> str:
        """Return what browsers subscribe with, in base64url, of a private key."""
        ...

    def problem(self, target: PushTarget) -> str | None:
        """Return why a subscription cannot be used, in a sentence without secrets, or None.

        It asks nobody.
        """
        ...

    def push(self, target: PushTarget, payload: bytes, sender: PushSender) -> None:
        """Send a payload within a bounded time. Calls may run in parallel.

        Raises NotTaken, also for an address that is not in the public Internet, and ReceiverGone if
        its push service no longer knows the subscription.
        """
        ...
