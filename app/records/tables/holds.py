"""Accounts of agents that are at their usage limit, in the control store."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Text
from sqlmodel import Field, SQLModel

from app.records.tables.columns import Moment


class AccountHold(SQLModel, table=True):
    """An account, or one family of its models, that nothing is launched on.

    Without `until` only a person ends it. From then on one run goes first, `probe_run_id`; once
    that has shown the account to work, the others follow, the next of them at `next_at`.
    """

    __tablename__ = "account_hold"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (CheckConstraint("hits >= 1", name="hold_hits"),)

    agent: str = Field(primary_key=True)
    account: str = Field(primary_key=True)
    family: str = Field(primary_key=True)
    since: datetime = Field(sa_type=Moment)
    until: datetime | None = Field(default=None, sa_type=Moment)
    evidence: str = Field(sa_type=Text)
    run_id: str
    hits: int = 1
    probe_run_id: str | None = None
    next_at: datetime | None = Field(default=None, sa_type=Moment)
