"""Alembic's environment: runs revisions in the transaction of the connection it is given."""

from __future__ import annotations

from alembic import context

from app.records.tables import Run

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Run.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
