"""Alembic's environment: runs revisions in the transaction of the connection it is given."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from app.records import tables  # noqa: F401 - fills the metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
