"""The control store: people, projects, leases, notifications, limits and the audit."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, Text, UniqueConstraint, false, text
from sqlmodel import Field, SQLModel

from app.domain.notifications import Kind, State
from app.domain.projects.approvals import APPROVAL_DAYS, ApprovalKind, ApprovalState
from app.domain.projects.checks import CHECK_ROUNDS, OnRed
from app.domain.projects.forge_rules import REVIEW_ROUNDS, MergeStyle
from app.domain.tracker.claims import CLAIM_LABEL
from app.records.tables.people import DEFAULT_ORGANISATION
from app.records.tables.stores import Moment, one_of


class Visit(SQLModel, table=True):
    """A person's visit: since when the report counts, and when a page of theirs was last open."""

    __tablename__ = "visit"  # pyright: ignore[reportAssignmentType]

    person_id: str = Field(primary_key=True, foreign_key="person.id")
    since: datetime = Field(sa_type=Moment)
    seen_at: datetime = Field(sa_type=Moment)


class ReadItem(SQLModel, table=True):
    """An item of the inbox that a person has read, as it was since `at`."""

    __tablename__ = "read_item"  # pyright: ignore[reportAssignmentType]

    person_id: str = Field(primary_key=True, foreign_key="person.id")
    item_id: str = Field(primary_key=True)
    at: datetime = Field(sa_type=Moment)


class Subscription(SQLModel, table=True):
    """The kinds of notifications that a person chose, of one project or (None) of all others."""

    __tablename__ = "subscription"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        UniqueConstraint("person_id", "project_id", name="one_choice_per_project"),
        Index(
            "one_choice_for_all",
            "person_id",
            unique=True,
            sqlite_where=text("project_id IS NULL"),
            postgresql_where=text("project_id IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    person_id: str = Field(foreign_key="person.id")
    project_id: str | None = Field(default=None, foreign_key="project.id")
    kinds: list[str] = Field(sa_type=JSON)


class Device(SQLModel, table=True):
    """A browser that gets a person's notifications by web push.

    `endpoint` is its address at its push service, `p256dh` and `auth` are its keys (RFC 8291), in
    base64url. `because` says why the last message was not taken, since `failed_at`.
    """

    __tablename__ = "device"  # pyright: ignore[reportAssignmentType]

    id: str = Field(primary_key=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    name: str
    endpoint: str = Field(sa_type=Text, unique=True)
    p256dh: str
    auth: str
    created_at: datetime = Field(sa_type=Moment)
    failed_at: datetime | None = Field(default=None, sa_type=Moment)
    because: str | None = Field(default=None, sa_type=Text)


class Lease(SQLModel, table=True):
    """A role that one server holds for a while, such as the sweep, or its sign of life.

    `fence` grows with each new holder, so that an earlier holder can be recognized.
    """

    __tablename__ = "lease"  # pyright: ignore[reportAssignmentType]

    name: str = Field(primary_key=True)
    holder: str
    fence: int
    expires_at: datetime = Field(sa_type=Moment)


class Project(SQLModel, table=True):
    """A git repository registered in Runyard, with its settings and its strikes."""

    __tablename__ = "project"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint(one_of("state", ("cloning", "ready", "broken")), name="project_state"),
        CheckConstraint("strikes >= 0", name="project_strikes"),
        CheckConstraint("budget_seconds >= 1", name="project_budget"),
        Index(
            "held_projects",
            "id",
            sqlite_where=text("state <> 'ready' OR unreachable"),
            postgresql_where=text("state <> 'ready' OR unreachable"),
        ),
        Index(
            "looped_projects",
            "id",
            sqlite_where=text("auto_enabled AND archived_at IS NULL"),
            postgresql_where=text("auto_enabled AND archived_at IS NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    organisation_id: str = Field(default=DEFAULT_ORGANISATION, index=True)
    name: str = Field(unique=True)
    tags: list[str] = Field(default_factory=list, sa_type=JSON)
    origin: str
    base_branch: str
    # who keeps its issues: the built-in tracker or the kind of its forge
    tracker: str
    # its forge, and its name there, `owner/name`
    forge_id: str | None = None
    repository: str | None = None
    # what is wrong with its repository there, such as a name that changed
    forge_hold: str | None = Field(default=None, sa_type=Text)
    # if runs are told on their issues there, and the label of issues that one works on
    tell_claims: bool = True
    claim_label: str | None = CLAIM_LABEL
    agent: str
    model: str | None = None
    agent_command: list[str] | None = Field(default=None, sa_type=JSON)
    setup_command: list[str] | None = Field(default=None, sa_type=JSON)
    prompt: str | None = Field(default=None, sa_type=Text)
    # raised with each change of `prompt`
    prompt_version: int = 1
    instructions: str | None = Field(default=None, sa_type=Text)
    # the name of the template for runs without a task or an issue, if it has one of its own
    default_template: str | None = None
    budget_seconds: int
    stall_seconds: int | None = None
    max_concurrency: int
    open_pr: str
    # the folder of the agents' own sign-in at the forge, and the account that it is of
    pr_sign_in: str | None = None
    pr_login: str | None = None
    # if agents get a token for their run's own issue
    agent_token: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    branch_pattern: str
    frameworks: list[str] = Field(sa_type=JSON)
    sandbox: str
    # True if a person chose that level; and if the card still says that nobody did
    sandbox_chosen: bool = False
    sandbox_notice: bool = False
    network: str = "all"
    allowed_hosts: list[str] = Field(default_factory=list, sa_type=JSON)
    allow: list[str] = Field(default_factory=list, sa_type=JSON)
    toolchains: list[str] = Field(default_factory=list, sa_type=JSON)
    limits: dict[str, int | None] = Field(default_factory=dict, sa_type=JSON)
    # fingerprint of a local origin's hooks when a person allowed them
    owner_hooks: str | None = None
    checks: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    check_rounds: int = CHECK_ROUNDS
    on_red: str = OnRed.PARK.value
    # runs by themselves on a change: after red CI, and for reviews at its forge
    ci_rounds: int = 0
    review_rounds: int = REVIEW_ROUNDS
    merge_style: str = MergeStyle.MERGE.value
    # if a person approves each start, how many approve a merge, and when both expire
    approve_start: bool = False
    approve_merge: int = 0
    approval_days: int = APPROVAL_DAYS
    # the only agents that may run here; empty for any
    allowed_agents: list[str] = Field(default_factory=list, sa_type=JSON)
    # why a check could not be started, which holds the loop
    checks_error: str | None = Field(default=None, sa_type=Text)
    # the commit of base whose agent configuration a person has looked at
    trusted_commit: str | None = None
    # the commit of base that was compared last, and why it holds the loop
    judged_commit: str | None = None
    trust_hold: str | None = Field(default=None, sa_type=Text)
    # the last change of the checks or of the sandbox that they run in
    checks_changed_at: datetime | None = Field(default=None, sa_type=Moment)
    # checks found in the repository (None: not looked for yet), and if a person answered them
    suggested_checks: list[dict[str, Any]] | None = Field(
        default=None,
        sa_type=JSON(none_as_null=True),  # pyright: ignore[reportArgumentType]
    )
    checks_answered: bool = False
    # as `app.domain.projects.autoland` reads it; what is missing has its default
    autoland: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    auto_enabled: bool = False
    resume_after_limit: bool = True
    state: str
    state_because: str | None = None
    strikes: int = 0
    paused_because: str | None = None
    # origin's last failure, the time of the first one, and if origin counts as unreachable
    origin_because: str | None = Field(default=None, sa_type=Text)
    origin_since: datetime | None = Field(default=None, sa_type=Moment)
    unreachable: bool = False
    known_branches: list[str] = Field(sa_type=JSON)
    next_number: int = 1
    archived_at: datetime | None = Field(default=None, sa_type=Moment)
    created_at: datetime = Field(sa_type=Moment)


class TemplateRow(SQLModel, table=True):
    """One version of a template for prompts; its text never changes.

    A removed template keeps its versions, so that a later one of its name counts on.
    """

    __tablename__ = "template"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (CheckConstraint("version >= 1", name="template_version"),)

    project_id: str = Field(primary_key=True, foreign_key="project.id")
    name: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    text: str = Field(sa_type=Text)
    created_by: str
    created_at: datetime = Field(sa_type=Moment)
    removed_at: datetime | None = Field(default=None, sa_type=Moment)


class Audit(SQLModel, table=True):
    """One audited action; the database refuses to change it.

    `hash` covers the whole row, including `previous`, the hash of the row before.
    """

    __tablename__ = "audit"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        Index("audit_by_object", "object", "id"),
        Index("audit_by_deed", "deed", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=Moment)
    # whose act it was; None in rows from before there were organisations, and for Runyard's
    organisation: str | None = None
    person: str | None = None
    role: str | None = None
    via: str
    token: str | None = None
    address: str | None = None
    deed: str
    object: str
    before: dict[str, Any] | None = Field(default=None, sa_type=JSON(none_as_null=True))  # pyright: ignore[reportArgumentType]
    after: dict[str, Any] | None = Field(default=None, sa_type=JSON(none_as_null=True))  # pyright: ignore[reportArgumentType]
    correlation_id: str
    previous: str
    hash: str


PENDING = text("state = 'pending'")


class Notification(SQLModel, table=True):
    """One message to one receiver, in the store of the row that it is about.

    `receiver` is a fingerprint of the receiver's address, which is never stored. `digest_id` names
    the digest that includes the message instead. Until `claimed_until`, only the claiming server
    may send it.
    """

    __tablename__ = "notification"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint(one_of("kind", Kind), name="notification_kind"),
        CheckConstraint(one_of("state", State), name="notification_state"),
        CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="pending_until_ended"),
        UniqueConstraint("key", "receiver", name="told_once"),
        Index(
            "pending_notifications",
            "receiver",
            "due_at",
            sqlite_where=PENDING,
            postgresql_where=PENDING,
        ),
    )

    id: str = Field(primary_key=True)
    key: str
    receiver: str
    kind: str
    about: dict[str, Any] = Field(sa_type=JSON)
    state: str = "pending"
    digest_id: str | None = None
    because: str | None = None
    attempts: int = 0
    claimed_by: str | None = None
    created_at: datetime = Field(sa_type=Moment)
    due_at: datetime = Field(sa_type=Moment)
    claimed_until: datetime | None = Field(default=None, sa_type=Moment)
    tried_at: datetime | None = Field(default=None, sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)


class AccountHold(SQLModel, table=True):
    """A usage limit: an account, or one family of its models, on which nothing is launched.

    Without `until` only a person ends it. After `until` one run goes first, `probe_run_id`; once it
    has shown that the account works, the others follow, the next one at `next_at`.
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


UNANSWERED = text("state = 'pending'")


class Approval(SQLModel, table=True):
    """A start or a merge that needs a person's approval; one row each time it was asked for.

    A start names its run, a merge its change request and the commit. `asked_by` started the run.
    """

    __tablename__ = "approval"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint(one_of("kind", ApprovalKind), name="approval_kind"),
        CheckConstraint(one_of("state", ApprovalState), name="approval_state"),
        CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="approval_until_ended"),
        CheckConstraint("(kind = 'start') = (change IS NULL)", name="approval_of_one_thing"),
        CheckConstraint("kind = 'merge' OR run_id IS NOT NULL", name="approval_of_a_run"),
        CheckConstraint("kind = 'start' OR head_sha IS NOT NULL", name="approval_of_a_commit"),
        Index(
            "one_approval_of_start",
            "run_id",
            unique=True,
            sqlite_where=text("kind = 'start'"),
            postgresql_where=text("kind = 'start'"),
        ),
        Index(
            "one_pending_approval_of_merge",
            *("project_id", "change"),
            unique=True,
            sqlite_where=text("kind = 'merge' AND state = 'pending'"),
            postgresql_where=text("kind = 'merge' AND state = 'pending'"),
        ),
        Index(
            "approvals_of_change",
            *("project_id", "change", "head_sha"),
            sqlite_where=text("kind = 'merge'"),
            postgresql_where=text("kind = 'merge'"),
        ),
        Index(
            "pending_approvals",
            *("expires_at", "project_id"),
            sqlite_where=UNANSWERED,
            postgresql_where=UNANSWERED,
        ),
        Index("approvals_of_run", "run_id", "created_at", "id"),
        Index("approvals_of_project", "project_id", "created_at", "id"),
        Index("approvals_of_issue", "project_id", "issue", "created_at"),
        Index("newest_approvals", "created_at", "id"),
        Index("newest_approvals_by_state", "state", "created_at", "id"),
    )

    id: str = Field(primary_key=True)
    project_id: str = Field(foreign_key="project.id")
    kind: str
    state: str = ApprovalState.PENDING.value
    title: str
    run_id: str | None = None
    trigger: str | None = None
    issue: int | None = None
    change: int | None = None
    head_sha: str | None = None
    asked_by: str | None = None
    # see app.domain.projects.approvals.Answer
    answers: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    because: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)
