"""Approvals of starts and merges, and the runs that wait for one beside the queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

QUEUED = "released_at IS NULL AND batch_id IS NULL AND status = 'queued' AND NOT awaits_approval"
# the queue's indexes, now without the runs that wait for an approval
OF_QUEUE = (
    (
        "queued_runs",
        *(("status", "created_at", "id", "project_id", "agent", "model", "trigger", "due_at"),),
    ),
    ("queued_runs_by_hold", ("status", "hold", "project_id")),
)
OF_APPROVALS: tuple[tuple[str, tuple[str, ...], str | None, bool], ...] = (
    ("one_approval_of_start", ("run_id",), "kind = 'start'", True),
    (
        "one_pending_approval_of_merge",
        ("project_id", "change"),
        "kind = 'merge' AND state = 'pending'",
        True,
    ),
    ("approvals_of_change", ("project_id", "change", "head_sha"), "kind = 'merge'", False),
    ("pending_approvals", ("expires_at", "project_id"), "state = 'pending'", False),
    ("approvals_of_run", ("run_id", "created_at", "id"), None, False),
    ("approvals_of_project", ("project_id", "created_at", "id"), None, False),
    ("approvals_of_issue", ("project_id", "issue", "created_at"), None, False),
    ("newest_approvals", ("created_at", "id"), None, False),
    ("newest_approvals_by_state", ("state", "created_at", "id"), None, False),
)


def upgrade() -> None:
    """No project asks for approvals, and no run waits for one."""
    for name, type_, default in (
        ("approve_start", sa.Boolean(), sa.false()),
        ("approve_merge", sa.Integer(), "0"),
        ("approval_days", sa.Integer(), "7"),
    ):
        column = sa.Column(name, type_, nullable=False, server_default=default)
        op.add_column("project", column)
    waits = sa.Column("awaits_approval", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("runs", waits)
    for name, columns in OF_QUEUE:
        op.drop_index(name, "runs")
        where = sa.text(QUEUED)
        op.create_index(name, "runs", list(columns), sqlite_where=where, postgresql_where=where)
    where = sa.text("awaits_approval")
    columns = ["project_id", "trigger", "released_at"]
    op.create_index(
        *("unapproved_runs", "runs", columns), sqlite_where=where, postgresql_where=where
    )
    _create_approvals()


def _create_approvals() -> None:
    op.create_table(
        "approval",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("project_id", sa.String(), sa.ForeignKey("project.id"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("run_id", sa.String()),
        sa.Column("trigger", sa.String()),
        sa.Column("issue", sa.Integer()),
        sa.Column("change", sa.Integer()),
        sa.Column("head_sha", sa.String()),
        sa.Column("asked_by", sa.String()),
        sa.Column("answers", sa.JSON(), nullable=False),
        sa.Column("because", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("kind IN ('start', 'merge')", name="approval_kind"),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'rejected', 'expired', 'withdrawn')",
            name="approval_state",
        ),
        sa.CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="approval_until_ended"),
        sa.CheckConstraint("(kind = 'start') = (change IS NULL)", name="approval_of_one_thing"),
        sa.CheckConstraint("kind = 'merge' OR run_id IS NOT NULL", name="approval_of_a_run"),
        sa.CheckConstraint("kind = 'start' OR head_sha IS NOT NULL", name="approval_of_a_commit"),
    )
    for name, columns, condition, unique in OF_APPROVALS:
        where = None if condition is None else sa.text(condition)
        op.create_index(
            *(name, "approval", list(columns)),
            unique=unique,
            sqlite_where=where,
            postgresql_where=where,
        )


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
