"""What could not be gone on with, beside the row that it is about."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Text
from sqlmodel import Field, SQLModel

from app.records.tables.columns import Moment


class Stuck(SQLModel, table=True):
    """A duty that failed on one row by a fault of ours, and how often; `held_at`: no more tries.

    `key` is `<duty>.<id of the row>`; `version` is the program that tried last.
    """

    __tablename__ = "quarantine"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (CheckConstraint("tries >= 1", name="tried_at_least_once"),)

    key: str = Field(primary_key=True)
    duty: str
    project_id: str | None = None
    run_id: str | None = None
    tries: int
    because: str = Field(sa_type=Text)
    version: str
    first_at: datetime = Field(sa_type=Moment)
    last_at: datetime = Field(sa_type=Moment)
    held_at: datetime | None = Field(default=None, sa_type=Moment)
