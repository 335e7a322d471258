"""The tables. Constraints make bad states impossible; statuses are text with a CHECK."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from app.domain.words import Delivers, Depth, Status, Trigger


class Moment(TypeDecorator[datetime]):
    """A point in time: aware in Python, UTC in the database, which may not know zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back where the database dropped it."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


def _one_of(column: str, words: Any) -> str:
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


# --- control store -----------------------------------------------------------------------------


class Person(SQLModel, table=True):
    """Somebody who may use this Runyard."""

    __tablename__ = "person"  # pyright: ignore[reportAssignmentType]

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    created_at: datetime = Field(sa_type=Moment)


class SignIn(SQLModel, table=True):
    """A browser's session; only the hash of its cookie is stored."""

    __tablename__ = "session"  # pyright: ignore[reportAssignmentType]

    cookie_hash: str = Field(primary_key=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    csrf: str
    created_at: datetime = Field(sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment)


class LoginLink(SQLModel, table=True):
    """A link that signs a browser in once; only the hash of its token is stored."""

    __tablename__ = "login_link"  # pyright: ignore[reportAssignmentType]

    token_hash: str = Field(primary_key=True)
    person_id: str = Field(foreign_key="person.id")
    created_at: datetime = Field(sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment, index=True)
    used_at: datetime | None = Field(default=None, sa_type=Moment)


class Lease(SQLModel, table=True):
    """Something that one server holds for a while: the sweep, or its own being alive.

    `fence` grows with each new holder, so that a late one can be told from the present one.
    """

    __tablename__ = "lease"  # pyright: ignore[reportAssignmentType]

    name: str = Field(primary_key=True)
    holder: str
    fence: int
    expires_at: datetime = Field(sa_type=Moment)


class Project(SQLModel, table=True):
    """A git repository registered in Runyard, with its settings and its count of strikes."""

    __tablename__ = "project"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint(_one_of("state", ("cloning", "ready", "broken")), name="project_state"),
        CheckConstraint("strikes >= 0", name="project_strikes"),
        CheckConstraint("budget_seconds >= 1", name="project_budget"),
    )

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    origin: str
    base_branch: str
    tracker: str
    agent: str
    agent_command: list[str] | None = Field(default=None, sa_type=JSON)
    setup_command: list[str] | None = Field(default=None, sa_type=JSON)
    prompt: str | None = Field(default=None, sa_type=Text)
    budget_seconds: int
    stall_seconds: int | None = None
    max_concurrency: int
    open_pr: str
    branch_pattern: str
    frameworks: list[str] = Field(sa_type=JSON)
    sandbox: str
    auto_enabled: bool = False
    state: str
    state_because: str | None = None
    strikes: int = 0
    known_branches: list[str] = Field(sa_type=JSON)
    next_number: int = 1
    archived_at: datetime | None = Field(default=None, sa_type=Moment)
    created_at: datetime = Field(sa_type=Moment)


class IssueRow(SQLModel, table=True):
    """An issue of the built-in tracker."""

    __tablename__ = "issue"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (CheckConstraint(_one_of("state", ("open", "closed")), name="issue_state"),)

    project_id: str = Field(primary_key=True, foreign_key="project.id")
    number: int = Field(primary_key=True)
    title: str
    body: str = Field(sa_type=Text)
    labels: list[str] = Field(sa_type=JSON)
    state: str = "open"
    created_at: datetime = Field(sa_type=Moment)
    closed_at: datetime | None = Field(default=None, sa_type=Moment)


class ChangeRequest(SQLModel, table=True):
    """A change request of the built-in tracker; numbers are shared with issues."""

    __tablename__ = "change_request"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint(_one_of("state", ("open", "merged", "closed")), name="change_state"),
        UniqueConstraint("run_id", name="one_change_per_run"),
        Index(
            "one_open_change_per_branch",
            "project_id",
            "branch",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )

    project_id: str = Field(primary_key=True, foreign_key="project.id")
    number: int = Field(primary_key=True)
    run_id: str
    title: str
    body: str = Field(sa_type=Text)
    base: str
    branch: str
    base_sha: str
    head_sha: str
    commits: int
    files_changed: int
    additions: int
    deletions: int
    closes: int | None = None
    state: str = "open"
    merged_sha: str | None = None
    created_at: datetime = Field(sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)


# --- run store ---------------------------------------------------------------------------------


class Run(SQLModel, table=True):
    """One execution of an agent for a project; exists from the moment it is accepted."""

    __tablename__ = "runs"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint(_one_of("status", Status), name="run_status"),
        CheckConstraint(_one_of("trigger", Trigger), name="run_trigger"),
        CheckConstraint(_one_of("depth_level", Depth), name="run_depth"),
        CheckConstraint(_one_of("delivers", Delivers), name="run_delivers"),
        CheckConstraint("released_at IS NULL OR ended_at IS NOT NULL", name="released_once_ended"),
        UniqueConstraint("project_id", "idempotency_key", name="one_run_per_key"),
        Index(
            "one_open_run_per_branch",
            "project_id",
            "work_branch",
            unique=True,
            sqlite_where=text("released_at IS NULL"),
            postgresql_where=text("released_at IS NULL"),
        ),
        Index(
            "open_runs",
            "created_at",
            sqlite_where=text("released_at IS NULL"),
            postgresql_where=text("released_at IS NULL"),
        ),
        Index("newest_runs", "created_at", "id"),
        Index("newest_runs_of_project", "project_id", "created_at", "id"),
        Index("newest_runs_by_status", "status", "created_at", "id"),
        Index("newest_runs_of_project_by_status", "project_id", "status", "created_at", "id"),
        Index("charged_runs", "charged_to", "created_at"),
        Index("ended_runs", "ended_at"),
    )

    id: str = Field(primary_key=True)
    project_id: str
    status: str
    cause: str | None = None
    because: str | None = None
    trigger: str
    title: str
    depth_level: str
    target_framework: str
    branch_name: str
    work_branch: str
    base_sha: str | None = None
    head_sha: str | None = None
    issue: int | None = None
    pr_number: int | None = None
    task: str | None = Field(default=None, sa_type=Text)
    agent: str
    model: str | None = None
    delivers: str
    tags: list[str] = Field(sa_type=JSON)
    budget_seconds: int
    idempotency_key: str | None = None
    body_hash: str
    retry_of: str | None = None
    retried_by: str | None = None
    batch_id: str | None = None
    correlation_id: str
    created_by: str
    charged_to: str | None = None
    provenance: dict[str, str] = Field(sa_type=JSON)
    hold: str | None = None
    created_at: datetime = Field(sa_type=Moment)
    due_at: datetime | None = Field(default=None, sa_type=Moment)
    expires_at: datetime | None = Field(default=None, sa_type=Moment)
    taken_at: datetime | None = Field(default=None, sa_type=Moment)
    started_at: datetime | None = Field(default=None, sa_type=Moment)
    deadline: datetime | None = Field(default=None, sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)
    released_at: datetime | None = Field(default=None, sa_type=Moment)
    exit_code: int | None = None
    exit_signal: int | None = None
    pid: int | None = None
    host: str | None = None
    instance: str | None = None
    server: str | None = None
    delivery: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    parked: bool = False
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


class RunEvent(SQLModel, table=True):
    """One line of a run's timeline."""

    __tablename__ = "run_events"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        ForeignKeyConstraint(["run_id"], ["runs.id"], name="event_of_run"),
        Index("events_of_run", "run_id", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    run_id: str
    at: datetime = Field(sa_type=Moment)
    kind: str
    sentence: str
    data: dict[str, Any] = Field(sa_type=JSON)
