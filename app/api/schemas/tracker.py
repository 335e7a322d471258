"""Schemas of issues, comments and change requests."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from app.api.schemas.parts import Answer, Body, Moment, NoNul, Number, Remark, Title
from app.api.schemas.runs import DeliveryOut
from app.domain.issues import MAX_BODY_BYTES
from app.domain.safe_text import UNSAFE
from app.domain.words import AfterClose, MergeWait, Priority

MAX_LABELS = 50
MAX_LABEL = 100
MAX_BLOCKERS = 50


def _of_issue_size(text: str) -> str:
    if len(text.encode()) > MAX_BODY_BYTES:
        raise ValueError(f"This text has more than {MAX_BODY_BYTES // 1024} KiB.")
    return text


def _of_one_line(label: str) -> str:
    if "\t" in label or UNSAFE.search(label):
        raise ValueError("A label contains a control or hidden character.")
    return label


# length first, so that a far too long text is not even encoded
IssueText = Annotated[
    str, StringConstraints(max_length=MAX_BODY_BYTES), NoNul, AfterValidator(_of_issue_size)
]
CommentText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_BODY_BYTES, pattern=r"\S"),
    NoNul,
    AfterValidator(_of_issue_size),
]
Label = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_LABEL),
    AfterValidator(_of_one_line),
]
Labels = Annotated[list[Label], Field(max_length=MAX_LABELS)]
Blockers = Annotated[list[Number], Field(max_length=MAX_BLOCKERS)]


class NewIssue(Body):
    """The body of `POST /projects/{id}/issues`."""

    title: Title
    body: IssueText = ""
    labels: Labels = Field(default_factory=list)
    priority: Priority = Priority.NORMAL
    blocked_by: Blockers = Field(
        default_factory=list[int], description="Issues that it waits for; its text then names them."
    )


class IssueSeen(Body):
    """The values that the editor saw."""

    title: str | None = Field(default=None, max_length=1000)
    body: IssueText | None = None
    labels: list[str] | None = Field(default=None, max_length=1000)
    state: Literal["open", "closed"] | None = None


class IssueChange(Body):
    """The body of `PATCH /projects/{id}/issues/{n}`; fields that are not given stay as they are.

    `before` and `after` name an open issue beside which it goes in the queue; it takes that one's
    priority. `blocked_by` lists all issues that it waits for, which its text then names. With
    `was`, nothing is changed if these values are no longer current (409).
    """

    title: Title | None = None
    body: IssueText | None = None
    labels: Labels | None = None
    state: Literal["open", "closed"] | None = None
    priority: Priority | None = None
    blocked_by: Blockers | None = None
    before: Number | None = None
    after: Number | None = None
    was: IssueSeen | None = None

    @model_validator(mode="after")
    def _is_at_one_place(self) -> Self:
        if self.before is not None and self.after is not None:
            raise ValueError("An issue goes before one or after one, not both.")
        return self


class IssueOut(Answer):
    """An issue of a project's tracker."""

    number: int
    title: str
    body: str
    labels: list[str]
    state: Literal["open", "closed"]
    priority: Priority = Priority.NORMAL
    rank: int | None = Field(
        default=None,
        description="The place that a person gave it among those of its priority, lowest first.",
    )
    ready: bool
    claimable: bool
    hold: str | None = None
    url: str | None = None
    created_at: Moment | None = None
    closed_at: Moment | None = None
    blocked_by: list[int] = Field(
        default_factory=list[int],
        description="Numbers that its text, and its forge beside that, name as blockers.",
    )
    assignees: list[str] = Field(default_factory=list[str])
    milestone: str = ""
    as_of: Moment | None = Field(
        default=None, description="When it was read, if its forge has not answered since then."
    )
    unknown_blockers: list[int] = Field(
        default_factory=list[int],
        description="Numbers it says it is blocked by that do not exist here; they do not block.",
    )
    notes: list[str] = Field(
        default_factory=list[str], description="Sentences about it: `#999 does not exist`."
    )


class OthersCommentOut(Answer):
    """A comment by somebody who may not write to the repository."""

    sha256: str = Field(description="Of its author, a newline and its text, in UTF-8.")
    author: str
    body: str
    created_at: Moment
    ticked: bool = Field(description="A person wants it in prompts.")


class IssueTextOut(Answer):
    """An issue's text, and the one that stood there when somebody with the right labelled it."""

    because: str = Field(
        description="Why a person must look at it before it starts by itself; empty if nobody must."
    )
    sha256: str = Field(description="Of the title, a newline and the body, in UTF-8.")
    title: str
    body: str
    title_was: str | None = None
    body_was: str | None = Field(
        default=None, description="Null if it was changed before anybody looked."
    )
    comments: list[OthersCommentOut] = Field(
        default_factory=list[OthersCommentOut],
        description="Those by people without write access: no prompt has one that is not ticked.",
    )


class Approval(Body):
    """The body of `POST /projects/{id}/issues/{n}/approve-text`."""

    sha256: str = Field(
        pattern="^[0-9a-f]{64}$", description="That of the text that a person looked at."
    )
    comments: list[str] | None = Field(
        default=None,
        max_length=1000,
        description="The sha256 of each comment by people without write access that prompts have "
        "from now on. Null leaves them as they are.",
    )


class Issues(Answer):
    """A project's issues, lowest number first."""

    items: list[IssueOut]


class NewComment(Body):
    """The body of `POST /projects/{id}/issues/{n}/comments`."""

    body: CommentText


class CommentOut(Answer):
    """A comment on an issue."""

    id: int
    author: str
    run_id: str | None = Field(
        default=None, description="The run whose agent wrote it; missing for a person's."
    )
    body: str
    created_at: Moment


class Comments(Answer):
    """The comments on an issue, oldest first."""

    items: list[CommentOut]


class CloseOrder(Body):
    """The optional body of `POST /projects/{id}/changes/{n}/close`."""

    because: Remark | None = Field(
        default=None, description="The reason; it goes into the prompt of the issue's next run."
    )
    issue: AfterClose = Field(
        default=AfterClose.PARK,
        description=(
            "`queue`: its branch is deleted, so that a run can start again. `park`: the branch is"
            " kept until a person discards it. `close`: the same, and the issue is closed."
        ),
    )


class ChangeOut(DeliveryOut):
    """A change request of the built-in tracker, or a pull request at a forge."""

    title: str
    forge_url: str | None = Field(
        default=None, description="Where its pull request is at the forge; null for one kept here."
    )
    body: str = ""
    base: str
    run_id: str | None = Field(
        default=None, description="The run that opened it; null for one that reverts another."
    )
    reverts: int | None = Field(
        default=None, description="The merged change request that it takes back."
    )
    undone_by: int | None = Field(
        default=None,
        description="The open or merged change request that takes this one back.",
    )
    closes: int | None = None
    merged_sha: str | None = None
    created_at: Moment
    ended_at: Moment | None = None
    closed_because: str | None = None
    draft: bool = False
    conflicts: list[str] | None = Field(
        default=None,
        description=(
            "Files in which a merge into its base conflicts, at most 100; null while unknown."
        ),
    )
    autoland_note: str | None = Field(
        default=None,
        description="Why it was not merged by itself, or that it was; null if nobody asked for it.",
    )
    merge_waits: MergeWait | None = Field(
        default=None,
        description=(
            "What its forge waits for before it merges by itself; null if it was not asked to."
        ),
    )
    merge_note: str | None = Field(
        default=None,
        description="Why its forge, which was to merge it by itself, will not do so after all.",
    )
    reviews_waiting: int = Field(
        default=0,
        description=(
            "Review comments at its forge that wait for a person: `review_rounds` are used up."
        ),
    )


class Changes(Answer):
    """A project's change requests, newest first."""

    items: list[ChangeOut]
