"""Notifications: each is written with what it tells of, and is pending until it was taken."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.domain.notices import Kind, State
from app.records.tables.columns import Moment, one_of

PENDING = text("state = 'pending'")


class Notification(SQLModel, table=True):
    """One thing to tell one receiver, in the store of what it tells of.

    `receiver` is a fingerprint of its address, which itself is never stored; `digest_id` names
    the digest that tells it instead; `claimed_until` is when another server may send it.
    """

    __tablename__ = "notification"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint(one_of("kind", Kind), name="notification_kind"),
        CheckConstraint(one_of("state", State), name="notification_state"),
        CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="pending_until_ended"),
        UniqueConstraint("key", "receiver", name="told_once"),
        Index(
            "pending_notifications",
            "receiver",
            "due_at",
            sqlite_where=PENDING,
            postgresql_where=PENDING,
        ),
    )

    id: str = Field(primary_key=True)
    key: str
    receiver: str
    kind: str
    about: dict[str, Any] = Field(sa_type=JSON)
    state: str = "pending"
    digest_id: str | None = None
    because: str | None = None
    attempts: int = 0
    claimed_by: str | None = None
    created_at: datetime = Field(sa_type=Moment)
    due_at: datetime = Field(sa_type=Moment)
    claimed_until: datetime | None = Field(default=None, sa_type=Moment)
    tried_at: datetime | None = Field(default=None, sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)
