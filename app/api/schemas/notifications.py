"""Notifications over the wire: receivers without their secrets."""

from __future__ import annotations

from app.api.schemas.parts import Answer, Moment


class ReceiverOut(Answer):
    """A receiver, what waits for it, and how the last attempt went.

    `problem` says why its address cannot be used; `last_taken` is null before the first attempt.
    """

    receiver: str
    problem: str | None
    pending: int
    next_at: Moment | None
    last_at: Moment | None
    last_taken: bool | None
    last_because: str | None


class NotificationsOut(Answer):
    """Who is told what, and when; an empty word where there is none, no items while it is off."""

    items: list[ReceiverOut]
    kinds: list[str]
    quiet_hours: str
    digest_at: str
    zone: str


class TriedOut(Answer):
    """Whether a receiver took the message, and why not."""

    receiver: str
    taken: bool
    because: str | None


class NotificationTest(Answer):
    """How a message to try it went, in the order of the setting."""

    items: list[TriedOut]
