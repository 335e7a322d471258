"""Organisations, roles, passwords and tokens; what there was belongs to organisation default."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

DEFAULT = f"org_{'0' * 24}"
ROLE = "role IN ('viewer', 'user', 'operator', 'admin')"
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make everyone an admin of the default organisation, and give it all projects."""
    _make_organisations()
    _add_to_people()
    _add_to_sessions()
    _make_tokens()
    for table in ("project", "forge"):
        column = sa.Column("organisation_id", sa.String(), nullable=False, server_default=DEFAULT)
        op.add_column(table, column)
    op.create_index("ix_project_organisation_id", "project", ["organisation_id"])
    op.add_column("audit", sa.Column("organisation", sa.String(), nullable=True))


def _make_organisations() -> None:
    op.create_table(
        "organisation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    default = {"id": DEFAULT, "name": "default", "created_at": sa.func.now()}
    names = ("id", "name", "created_at")
    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in names]
    op.execute(sa.insert(sa.table("organisation", *columns)).values(default))
    op.create_table(
        "membership",
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("organisation_id", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.CheckConstraint(ROLE, name="membership_role"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"]),
        sa.PrimaryKeyConstraint("person_id"),
    )
    op.create_index("ix_membership_organisation_id", "membership", ["organisation_id"])
    op.execute(
        "INSERT INTO membership (person_id, organisation_id, role) "  # noqa: S608  (a constant)
        f"SELECT id, '{DEFAULT}', 'admin' FROM person"
    )
    op.create_table(
        "project_role",
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.CheckConstraint(ROLE, name="project_role_word"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint("person_id", "project_id"),
    )
    op.create_index("ix_project_role_project_id", "project_role", ["project_id"])


def _add_to_people() -> None:
    for column in (
        *(sa.Column(name, sa.String(), nullable=True) for name in ("full_name", "email")),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("password_hash", "totp_secret")),
        sa.Column("totp_since", MOMENT, nullable=True),
        sa.Column("totp_step", sa.Integer(), nullable=True),
        sa.Column("recovery_hashes", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("oidc_subject", sa.String(), nullable=True),
        sa.Column("disabled_at", MOMENT, nullable=True),
    ):
        op.add_column("person", column)
    op.create_index("person_by_email", "person", ["email"], unique=True)
    op.create_index("person_by_subject", "person", ["oidc_subject"], unique=True)
    sets_password = sa.Column(
        "sets_password", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("login_link", sets_password)


def _add_to_sessions() -> None:
    # the sessions that there are stay: each is as old as its sign-in
    epoch = "1970-01-01 00:00:00+00:00"
    for column in (
        sa.Column("id", sa.String(), nullable=False, server_default=""),
        sa.Column("proved_at", MOMENT, nullable=False, server_default=epoch),
        sa.Column("used_at", MOMENT, nullable=False, server_default=epoch),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("browser", sa.String(), nullable=True),
    ):
        op.add_column("session", column)
    op.execute(
        "UPDATE session SET id = 'session_' || substr(cookie_hash, 1, 24), "
        "proved_at = created_at, used_at = created_at"
    )
    op.create_index("session_by_id", "session", ["id"], unique=True)


def _make_tokens() -> None:
    op.create_table(
        "token",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("projects", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("last_used_at", MOMENT, nullable=True),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_index("tokens_of_person", "token", ["person_id", "id"])


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
