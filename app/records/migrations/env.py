"""Alembic's entry: runs the revisions on the engine it is given."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from app.records import tables  # noqa: F401 - fills the metadata

with context.config.attributes["engine"].connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
