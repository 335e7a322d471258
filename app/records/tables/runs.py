"""The run store: runs, their timelines, and daily totals per project."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from app.domain.words import CheckStatus, Delivers, Depth, Status, Trigger
from app.records.tables.stores import Moment, one_of

QUEUED = "released_at IS NULL AND batch_id IS NULL AND status = 'queued' AND NOT awaits_approval"
EXPIRING = "released_at IS NULL AND status = 'queued' AND expires_at IS NOT NULL"
# those in the queue that count for their project's concurrency limit
ASKED_FOR_NOW = (
    "released_at IS NULL AND status IN ('delayed', 'queued')"
    " AND batch_id IS NULL AND due_at IS NULL"
)
# the beginning of a task, because PostgreSQL refuses long texts in an index
TASK_BEGINNING = "coalesce(substr(task, 1, 60), '')"


class Run(SQLModel, table=True):
    """One execution of an agent for a project; exists from the moment it is accepted."""

    __tablename__ = "runs"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint(one_of("status", Status), name="run_status"),
        CheckConstraint(one_of("trigger", Trigger), name="run_trigger"),
        CheckConstraint(one_of("depth_level", Depth), name="run_depth"),
        CheckConstraint(one_of("delivers", Delivers), name="run_delivers"),
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
            "begun_runs",
            "project_id",
            "created_at",
            sqlite_where=text("released_at IS NULL AND status NOT IN ('delayed', 'queued')"),
            postgresql_where=text("released_at IS NULL AND status NOT IN ('delayed', 'queued')"),
        ),
        # what waiting and open runs mean to their project's card, however many there are
        Index(
            "held_runs_of_project",
            "project_id",
            "created_at",
            "id",
            sqlite_where=text("status IN ('delayed', 'queued') AND hold IS NOT NULL"),
            postgresql_where=text("status IN ('delayed', 'queued') AND hold IS NOT NULL"),
        ),
        Index(
            "waiting_runs_of_project_by_agent",
            "project_id",
            "agent",
            sqlite_where=text("status IN ('delayed', 'queued')"),
            postgresql_where=text("status IN ('delayed', 'queued')"),
        ),
        Index(
            "open_runs_of_project_for_issue",
            "project_id",
            "issue",
            sqlite_where=text("released_at IS NULL AND issue IS NOT NULL"),
            postgresql_where=text("released_at IS NULL AND issue IS NOT NULL"),
        ),
        # the order of the queue, with what blocked runs are passed over by. The status comes first
        # in these, or SQLite prefers the index of all runs by status
        Index(
            "queued_runs",
            *("status", "created_at", "id"),
            *("project_id", "agent", "model", "trigger", "due_at"),
            sqlite_where=text(QUEUED),
            postgresql_where=text(QUEUED),
        ),
        Index(
            "queued_runs_by_hold",
            *("status", "hold", "project_id"),
            sqlite_where=text(QUEUED),
            postgresql_where=text(QUEUED),
        ),
        # few: those that wait for a person
        Index(
            "unapproved_runs",
            *("project_id", "trigger", "released_at"),
            sqlite_where=text("awaits_approval"),
            postgresql_where=text("awaits_approval"),
        ),
        Index(
            "delayed_runs",
            *("status", "due_at", "batch_id"),
            sqlite_where=text("status = 'delayed'"),
            postgresql_where=text("status = 'delayed'"),
        ),
        Index(
            "expiring_runs",
            *("status", "expires_at"),
            sqlite_where=text(EXPIRING),
            postgresql_where=text(EXPIRING),
        ),
        # what an accept counts and compares, however many runs wait
        Index(
            "runs_of_project_asked_for_now",
            *("project_id", "status", "batch_id", "due_at"),
            sqlite_where=text(ASKED_FOR_NOW),
            postgresql_where=text(ASKED_FOR_NOW),
        ),
        Index(
            "open_runs_of_project_by_task",
            "project_id",
            text(TASK_BEGINNING),
            sqlite_where=text("released_at IS NULL AND issue IS NULL"),
            postgresql_where=text("released_at IS NULL AND issue IS NULL"),
        ),
        Index("newest_runs", "created_at", "id"),
        Index("newest_runs_of_project", "project_id", "created_at", "id"),
        Index("newest_runs_by_status", "status", "created_at", "id"),
        Index("newest_runs_of_project_by_status", "project_id", "status", "created_at", "id"),
        Index("newest_runs_by_trigger_and_status", "trigger", "status", "created_at", "id"),
        Index(
            "newest_runs_of_project_by_trigger",
            "project_id",
            "trigger",
            "status",
            "created_at",
            "id",
        ),
        Index("newest_runs_from_branch", "branch_name", "created_at", "id"),
        Index("newest_runs_on_branch", "work_branch", "created_at", "id"),
        Index(
            "newest_runs_of_project_from_branch",
            "project_id",
            "branch_name",
            "status",
            "created_at",
            "id",
        ),
        Index(
            "newest_runs_of_project_on_branch",
            "project_id",
            "work_branch",
            "status",
            "created_at",
            "id",
        ),
        Index(
            "newest_runs_for_issue",
            "issue",
            "created_at",
            "id",
            sqlite_where=text("issue IS NOT NULL"),
            postgresql_where=text("issue IS NOT NULL"),
        ),
        # by the end of an id, which is the part that screens show
        Index("runs_by_ending", text("substr(id, length(id) - 5)")),
        Index("charged_runs", "charged_to", "created_at"),
        Index(
            "striking_runs",
            "project_id",
            "ended_at",
            sqlite_where=text("is_strike"),
            postgresql_where=text("is_strike"),
        ),
        Index(
            "parked_runs",
            "project_id",
            "created_at",
            sqlite_where=text("parked"),
            postgresql_where=text("parked"),
        ),
        Index("ended_runs", "ended_at"),
        # by cost, only those that reported one: a new run adds nothing to these
        Index(
            "runs_by_cost",
            *("cost_usd", "id"),
            sqlite_where=text("cost_usd IS NOT NULL"),
            postgresql_where=text("cost_usd IS NOT NULL"),
        ),
        Index(
            "runs_of_project_by_cost",
            *("project_id", "cost_usd", "id"),
            sqlite_where=text("cost_usd IS NOT NULL"),
            postgresql_where=text("cost_usd IS NOT NULL"),
        ),
        # few, of however many were told
        Index(
            "runs_to_announce",
            *("status", "id"),
            sqlite_where=text("announce"),
            postgresql_where=text("announce"),
        ),
        Index(
            "resumable_runs",
            "ended_at",
            sqlite_where=text("may_resume"),
            postgresql_where=text("may_resume"),
        ),
        Index(
            "runs_of_batch",
            "batch_id",
            "status",
            sqlite_where=text("batch_id IS NOT NULL"),
            postgresql_where=text("batch_id IS NOT NULL"),
        ),
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
    # the comments that a review run was started with; see app/domain/review/sent.py
    review: list[dict[str, Any]] | None = Field(
        default=None,
        sa_type=JSON(none_as_null=True),  # pyright: ignore[reportArgumentType]
    )
    # the merge that a run is to conclude; see app/domain/review/base_merges.py
    merging: dict[str, Any] | None = Field(default=None, sa_type=JSON(none_as_null=True))  # pyright: ignore[reportArgumentType]
    task: str | None = Field(default=None, sa_type=Text)
    agent: str
    model: str | None = None
    delivers: str
    tags: list[str] = Field(sa_type=JSON)
    budget_seconds: int
    idempotency_key: str | None = None
    body_hash: str
    retry_of: str | None = None
    # the newest retry of this run, and all of them, oldest first
    retried_by: str | None = None
    retries: list[str] = Field(default_factory=list, sa_type=JSON)
    batch_id: str | None = None
    correlation_id: str
    created_by: str
    charged_to: str | None = None
    provenance: dict[str, str] = Field(sa_type=JSON)
    hold: str | None = None
    # True until a person has approved its start: it is not in the queue so long
    awaits_approval: bool = False
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
    # the server's own record of the run's processes: a record in the run's folder is checked
    # against it, and never overrides it
    supervisor: dict[str, Any] | None = Field(default=None, sa_type=JSON(none_as_null=True))  # pyright: ignore[reportArgumentType]
    host: str | None = None
    instance: str | None = None
    server: str | None = None
    delivery: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    parked: bool = False
    is_strike: bool = False
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    # the agent session that this run resumes
    session_id: str | None = None
    # how many resumed runs precede it in a row, and if it waits to be resumed
    resumes: int = 0
    may_resume: bool = False
    # the agent's turns so far, the rounds of checks, and what those were begun with
    turn: int = 1
    check_round: int = 0
    checks: dict[str, Any] | None = Field(default=None, sa_type=JSON(none_as_null=True))  # pyright: ignore[reportArgumentType]
    # if its issue at a forge is yet to be told how it stands, and what stands there
    announce: bool = False
    announced: dict[str, Any] | None = Field(default=None, sa_type=JSON(none_as_null=True))  # pyright: ignore[reportArgumentType]


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


class CheckResult(SQLModel, table=True):
    """One check in one round of a run; written before its process begins.

    `exit_code` is None for a check that did not exit by itself. `changed_files` are tracked files
    that it changed; `log_from` and `log_to` are its part of the run's log.
    """

    __tablename__ = "check_result"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        ForeignKeyConstraint(["run_id"], ["runs.id"], name="check_of_run"),
        CheckConstraint(one_of("status", CheckStatus), name="check_status"),
        CheckConstraint("(status = 'running') = (ended_at IS NULL)", name="check_runs_until_ended"),
    )

    run_id: str = Field(primary_key=True)
    round: int = Field(primary_key=True)
    position: int = Field(primary_key=True)
    name: str
    required: bool
    status: str
    sha: str
    exit_code: int | None = None
    because: str | None = None
    changed_files: list[str] = Field(default_factory=list, sa_type=JSON)
    log_from: int | None = Field(default=None, sa_type=BigInteger)
    log_to: int | None = Field(default=None, sa_type=BigInteger)
    started_at: datetime = Field(sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)


class RunPrompt(SQLModel, table=True):
    """The prompt of one turn of a run, written before its agent starts.

    `template` and `version` are None for the built-in text.
    """

    __tablename__ = "run_prompt"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (ForeignKeyConstraint(["run_id"], ["runs.id"], name="prompt_of_run"),)

    run_id: str = Field(primary_key=True)
    n: int = Field(primary_key=True)
    text: str = Field(sa_type=Text)
    template: str | None = None
    version: int | None = None
    at: datetime = Field(sa_type=Moment)


class ProjectDay(SQLModel, table=True):
    """The totals of a project's runs that ended on one UTC day.

    The columns are the fields of `Figures` in domain/statistics.py.
    """

    __tablename__ = "project_day"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (Index("days_of_all", "day"),)

    project_id: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    succeeded: int = 0
    died: int = 0
    timed_out: int = 0
    limited: int = 0
    stopped: int = 0
    not_started: int = 0
    expired: int = 0
    began: int = 0
    worked_ms: int = Field(default=0, sa_type=BigInteger)
    told_tokens: int = 0
    input_tokens: int = Field(default=0, sa_type=BigInteger)
    output_tokens: int = Field(default=0, sa_type=BigInteger)
    told_cost: int = 0
    cost_micros: int = Field(default=0, sa_type=BigInteger)
