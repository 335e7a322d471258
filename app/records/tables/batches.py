"""Batches and their items (run store), and bulk actions on many runs (control store)."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from app.domain.batches import MAX_ITEMS, BatchStatus, BulkAction, BulkState, BulkStatus
from app.records.tables.stores import Moment, one_of


class Batch(SQLModel, table=True):
    """A batch of runs that were ordered together; sealed once every item is in."""

    __tablename__ = "batches"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint(one_of("status", BatchStatus), name="batch_status"),
        CheckConstraint(f"run_count BETWEEN 1 AND {MAX_ITEMS}", name="batch_size"),
        UniqueConstraint("project_id", "idempotency_key", name="one_batch_per_key"),
        Index("newest_batches", "created_at", "id"),
        Index("newest_batches_of_project", "project_id", "created_at", "id"),
        Index("charged_batches", "created_by", "created_at"),
        Index(
            "unfinished_batches",
            "created_at",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    project_id: str
    run_count: int
    status: str
    because: str | None = None
    idempotency_key: str | None = None
    body_hash: str
    parent_run_id: str | None = None
    correlation_id: str
    created_by: str
    created_at: datetime = Field(sa_type=Moment)
    sealed_at: datetime | None = Field(default=None, sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)


class BatchItem(SQLModel, table=True):
    """The position of a run in its batch."""

    __tablename__ = "batch_items"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        ForeignKeyConstraint(["batch_id"], ["batches.id"], name="item_of_batch"),
        ForeignKeyConstraint(["run_id"], ["runs.id"], name="run_of_item"),
        UniqueConstraint("run_id", name="one_item_per_run"),
    )

    batch_id: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    run_id: str


class Bulk(SQLModel, table=True):
    """One action on many runs; the list of runs is fixed when it is ordered."""

    __tablename__ = "bulk"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint(one_of("action", BulkAction), name="bulk_action"),
        CheckConstraint(one_of("status", BulkStatus), name="bulk_status"),
        Index(
            "unfinished_bulk",
            "created_at",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    action: str
    wanted: dict[str, Any] = Field(sa_type=JSON)
    status: str
    hold: str | None = None
    correlation_id: str
    created_by: str
    created_at: datetime = Field(sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)


class BulkItem(SQLModel, table=True):
    """One run of a bulk action, and its result."""

    __tablename__ = "bulk_items"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint(one_of("state", BulkState), name="bulk_item_state"),
        ForeignKeyConstraint(["bulk_id"], ["bulk.id"], name="item_of_bulk"),
    )

    bulk_id: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    run_id: str
    state: str
    because: str | None = None
    new_run_id: str | None = None
