"""Indexes for the runs of a project's branch in one status, which led to the newest alone."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BEHIND = ("status", "created_at", "id")


def upgrade() -> None:
    """Make them, for the branch that runs begin at and for the one that they write to."""
    for name, branch in (("from", "branch_name"), ("on", "work_branch")):
        columns = ["project_id", branch, *BEHIND]
        op.create_index(f"newest_runs_of_project_{name}_branch", "runs", columns)
