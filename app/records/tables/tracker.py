"""Trackers, in the control store: forges, and issues and change requests with their comments."""

from datetime import datetime

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from app.domain.tracker.forges import ForgeKind
from app.domain.words import Priority, Side
from app.records.tables.stores import Moment, one_of


class ForgeServer(SQLModel, table=True):
    """A forge with the token by which Runyard acts there."""

    __tablename__ = "forge"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (CheckConstraint(one_of("kind", tuple(ForgeKind)), name="forge_kind"),)

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    kind: str
    url: str = Field(unique=True)
    # encrypted, see app.adapters.machine.secret_box
    token: str = Field(sa_type=Text)
    # of a GitHub App, whose private key stands in place of a token
    app_id: str | None = None
    # signs the hooks that it sends; encrypted, too
    hook_secret: str | None = Field(default=None, sa_type=Text)
    version: str
    # what its last check found: whose token it is, what that may and what it lacks
    acts_as: str
    may: list[str] = Field(sa_type=JSON)
    missing: list[str] = Field(sa_type=JSON)
    # why only a person can help, such as a token that was refused
    needs_attention: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=Moment)
    checked_at: datetime = Field(sa_type=Moment)


class IssueRow(SQLModel, table=True):
    """An issue of the built-in tracker."""

    __tablename__ = "issue"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint(one_of("state", ("open", "closed")), name="issue_state"),
        CheckConstraint(one_of("priority", tuple(Priority)), name="issue_priority"),
        Index(
            "open_issues",
            "project_id",
            "number",
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )

    project_id: str = Field(primary_key=True, foreign_key="project.id")
    number: int = Field(primary_key=True)
    title: str
    body: str = Field(sa_type=Text)
    labels: list[str] = Field(sa_type=JSON)
    state: str = "open"
    priority: str = Priority.NORMAL
    # the place that a person gave it within its priority; None until somebody has
    rank: int | None = None
    created_at: datetime = Field(sa_type=Moment)
    closed_at: datetime | None = Field(default=None, sa_type=Moment)


class IssueComment(SQLModel, table=True):
    """A comment on an issue of the built-in tracker."""

    __tablename__ = "issue_comment"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "number"], ["issue.project_id", "issue.number"], name="comment_of_issue"
        ),
        Index("comments_of_issue", "project_id", "number", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    project_id: str
    number: int
    author: str
    body: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=Moment)


class ChangeRequest(SQLModel, table=True):
    """A change request of the built-in tracker, or a pull request that was opened at a forge.

    Numbers are shared with issues.
    """

    __tablename__ = "change_request"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint(one_of("state", ("open", "merged", "closed")), name="change_state"),
        UniqueConstraint("run_id", name="one_change_per_run"),
        Index(
            "one_open_change_per_branch",
            "project_id",
            "branch",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        Index(
            "one_open_revert_per_change",
            "project_id",
            "reverts",
            unique=True,
            sqlite_where=text("state = 'open' AND reverts IS NOT NULL"),
            postgresql_where=text("state = 'open' AND reverts IS NOT NULL"),
        ),
    )

    project_id: str = Field(primary_key=True, foreign_key="project.id")
    number: int = Field(primary_key=True)
    # its address at the forge that keeps it, None for one of the built-in tracker
    url: str | None = None
    # the run that opened it, None for one that reverts another change
    run_id: str | None = None
    # the number of the change that it takes back
    reverts: int | None = None
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
    # why a person closed it without a merge
    closed_because: str | None = Field(default=None, sa_type=Text)
    # the place of its issue then: queue, park or close
    issue_after: str | None = None
    # delivered although required checks were red
    draft: bool = False
    # files in which its merge conflicts, None if unknown, and the two commits it was seen for
    conflicts_seen: list[str] | None = Field(default=None, sa_type=JSON(none_as_null=True))  # pyright: ignore[reportArgumentType]
    conflicts_base: str | None = None
    conflicts_head: str | None = None
    # why it was not merged by itself, or that it was
    autoland_note: str | None = Field(default=None, sa_type=Text)
    # commits and rules for which a person was left to decide: nothing tries again for them
    autoland_seen: str | None = None
    # what speaks for a merge by itself that is about to be tried
    landing: str | None = Field(default=None, sa_type=Text)

    @property
    def conflicts(self) -> list[str] | None:
        """The files in which its merge conflicts; None while that is unknown, and once it ended."""
        is_current = self.state == "open" and self.conflicts_head == self.head_sha
        return self.conflicts_seen if is_current else None


class ChangeComment(SQLModel, table=True):
    """A comment on a change request: on a line, on a file, or (no file) on all of it.

    `line` counts in the file as the commit `sha` has it: the change's head on the side `new`, its
    base on the side `old`. Until it is sent, with no `round`, only its author sees it. One that
    never was goes some time after its change has ended.
    """

    __tablename__ = "change_comment"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint(one_of("side", tuple(Side)), name="comment_side"),
        CheckConstraint("(line IS NULL) OR (file IS NOT NULL)", name="line_of_file"),
        ForeignKeyConstraint(
            ["project_id", "number"],
            ["change_request.project_id", "change_request.number"],
            name="comment_of_change",
        ),
        Index("comments_of_change", "project_id", "number", "id"),
        # few, of however many were sent
        Index(
            "unsent_comments",
            "project_id",
            "number",
            sqlite_where=text("round IS NULL"),
            postgresql_where=text("round IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    project_id: str
    number: int
    person_id: str
    author: str
    file: str | None = None
    line: int | None = None
    side: str
    sha: str
    text: str = Field(sa_type=Text)
    # the round of the change that it was sent in, and the run that got it
    round: int | None = None
    run_id: str | None = None
    created_at: datetime = Field(sa_type=Moment)


class ViewedFile(SQLModel, table=True):
    """A file of a change that a person has viewed; it counts until its content changes."""

    __tablename__ = "viewed_file"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "number"],
            ["change_request.project_id", "change_request.number"],
            name="viewed_of_change",
        ),
    )

    person_id: str = Field(primary_key=True, foreign_key="person.id")
    project_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    path: str = Field(primary_key=True)
    blob: str
