"""What two databases know of each other, and what one has still to tell the other."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel

from app.records.tables.columns import Moment


class Setting(SQLModel, table=True):
    """What a database knows of itself: its name, and where new runs live."""

    __tablename__ = "setting"  # pyright: ignore[reportAssignmentType]

    name: str = Field(primary_key=True)
    value: str


class Outgoing(SQLModel, table=True):
    """What follows in the control store from what was written here, with it, and once."""

    __tablename__ = "outbox"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    kind: str
    run_id: str
    data: dict[str, Any] = Field(sa_type=JSON)
    at: datetime = Field(sa_type=Moment)


class Applied(SQLModel, table=True):
    """What the control store has taken from an outbox that still holds it."""

    __tablename__ = "applied"  # pyright: ignore[reportAssignmentType]

    key: str = Field(primary_key=True)
    sentence: str | None = None
