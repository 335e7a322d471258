"""Trackers, in the control store: forges, and issues and change requests with their comments."""

from datetime import datetime
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

from app.domain.tracker.ci import read_ci
from app.domain.tracker.forges import ForgeKind, Place
from app.domain.words import Priority, Side
from app.records.tables.people import DEFAULT_ORGANISATION
from app.records.tables.stores import Moment, one_of


class ForgeServer(SQLModel, table=True):
    """A forge with the token by which Runyard acts there."""

    __tablename__ = "forge"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (CheckConstraint(one_of("kind", tuple(ForgeKind)), name="forge_kind"),)

    id: str = Field(primary_key=True)
    organisation_id: str = Field(default=DEFAULT_ORGANISATION)
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


class IssueText(SQLModel, table=True):
    """The text of a forge's issue that counts: the one that stood there when it was labelled."""

    __tablename__ = "issue_text"  # pyright: ignore[reportAssignmentType]

    project_id: str = Field(primary_key=True, foreign_key="project.id")
    number: int = Field(primary_key=True)
    # the event of the issue's history that set the label, 0 if none tells; and by whom
    event: int
    labelled_by: str
    may_label: bool
    # what stood there, None if it was changed before anybody looked
    title: str | None = None
    body: str | None = Field(default=None, sa_type=Text)
    sha256: str | None = None
    # who changed it afterwards without the right to write to the repository
    edited_by: str | None = None
    # the text at the last look, and when the forge said then that the issue was changed
    seen_sha256: str
    updated_at: datetime | None = Field(default=None, sa_type=Moment)
    # the text that a person approved
    approved_sha256: str | None = None
    # the comments by people without write access that a person wants in prompts, by sha256
    ticked: list[str] = Field(default_factory=list, sa_type=JSON)


class ForgeIssue(SQLModel, table=True):
    """An issue of a forge, as it was last read; the forge alone decides what is true of it."""

    __tablename__ = "forge_issue"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint(one_of("state", ("open", "closed")), name="forge_issue_state"),
        CheckConstraint(one_of("priority", tuple(Priority)), name="forge_issue_priority"),
        Index(
            "open_forge_issues",
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
    url: str | None = Field(default=None, sa_type=Text)
    assignees: list[str] = Field(sa_type=JSON)
    milestone: str = ""
    # blockers that the forge keeps beside the text: here, and open ones of other repositories
    dependencies: list[int] = Field(sa_type=JSON)
    blocked_elsewhere: list[str] = Field(sa_type=JSON)
    # its author, if that is somebody who may not write to the repository
    stranger: str = ""
    created_at: datetime = Field(sa_type=Moment)
    updated_at: datetime = Field(sa_type=Moment)
    closed_at: datetime | None = Field(default=None, sa_type=Moment)


class ForgeListing(SQLModel, table=True):
    """How a project's list of issues at its forge stands; without `whole_at` it is not known."""

    __tablename__ = "forge_listing"  # pyright: ignore[reportAssignmentType]

    project_id: str = Field(primary_key=True, foreign_key="project.id")
    # when all of it was read, and when the forge last said that nothing had changed
    whole_at: datetime | None = Field(default=None, sa_type=Moment)
    read_at: datetime | None = Field(default=None, sa_type=Moment)
    # by the forge's own clock: the latest change that was read
    newest_at: datetime | None = Field(default=None, sa_type=Moment)
    # since when the forge does not answer, and what is known about that
    silent_since: datetime | None = Field(default=None, sa_type=Moment)
    silent_because: str | None = Field(default=None, sa_type=Text)


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
    # of the run whose agent wrote it, None for a person's
    run_id: str | None = None
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
            "closed_changes",
            "project_id",
            "ended_at",
            sqlite_where=text("state = 'closed'"),
            postgresql_where=text("state = 'closed'"),
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
    # what the forge waits for that is to merge it by itself, None if it is not; and the head that
    # it was asked to merge, written before it is asked
    merge_waits: str | None = None
    merge_head: str | None = None
    # why the forge will not merge that head by itself after all
    merge_note: str | None = Field(default=None, sa_type=Text)
    # review comments by people that no run works through, as the rounds are used up
    reviews_waiting: int = 0
    # what CI at its forge said, as `app.domain.tracker.ci` reads it, and of which commit
    ci_seen: dict[str, Any] | None = Field(default=None, sa_type=JSON(none_as_null=True))  # pyright: ignore[reportArgumentType]

    @property
    def conflicts(self) -> list[str] | None:
        """The files in which its merge conflicts; None while that is unknown, and once it ended."""
        is_current = self.state == "open" and self.conflicts_head == self.head_sha
        return self.conflicts_seen if is_current else None

    @property
    def ci(self) -> dict[str, Any]:
        """The CI of its head, as the API shows it."""
        return read_ci(self.ci_seen, self.head_sha).as_data()

    @property
    def may_merge_itself(self) -> bool:
        """True if its forge was asked to merge it, and nothing says that it will not."""
        return self.merge_head is not None and self.merge_note is None


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


class ForgeComment(SQLModel, table=True):
    """A comment at a forge that a run works through, or is about to; it is taken up only once.

    `key` is that of the run's acceptance: until `run_id` is set, the run may have been accepted or
    not, and the same key finds out.
    """

    __tablename__ = "forge_comment"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint(one_of("place", tuple(Place)), name="forge_comment_place"),
        ForeignKeyConstraint(
            ["project_id", "number"],
            ["change_request.project_id", "change_request.number"],
            name="forge_comment_of_change",
        ),
        Index("forge_comments_of_change", "project_id", "number"),
    )

    project_id: str = Field(primary_key=True)
    place: str = Field(primary_key=True)
    comment_id: int = Field(primary_key=True, sa_type=BigInteger)
    number: int
    # where it stands, to be answered there
    file: str | None = Field(default=None, sa_type=Text)
    line: int | None = None
    side: str
    key: str
    run_id: str | None = None
    answered: bool = False
    taken_at: datetime = Field(sa_type=Moment)
