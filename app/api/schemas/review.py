"""Schemas of reviews: the files of a change request, and comments on it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from app.api.schemas.parts import MAX_TASK_BYTES, Answer, Body, Moment, NoNul, Number, TaskText
from app.domain.words import FileStatus, Side

FilePath = Annotated[str, StringConstraints(min_length=1, max_length=4096), NoNul]
ReviewText = Annotated[
    TaskText, StringConstraints(min_length=1, max_length=MAX_TASK_BYTES, pattern=r"\S")
]


class ChangeFile(Answer):
    """A file of a change request."""

    path: str
    previous: str | None = Field(default=None, description="Its path before a rename.")
    status: FileStatus
    additions: int | None = Field(description="Null for a binary file.")
    deletions: int | None
    folded: bool = Field(description="Generated or a lock file, shown when a person asks.")
    viewed: bool = Field(description="You have viewed it, and it has not changed since.")


class ChangeFiles(Answer):
    """The files of a change request, by path."""

    items: list[ChangeFile]


class CommitOut(Answer):
    """A commit of a change request."""

    sha: str
    subject: str = Field(description="The first line of its message.")
    author: str
    at: Moment


class RequestOut(Answer):
    """A request for changes that an agent got."""

    round: int
    run_id: str
    at: Moment
    author: str | None = None
    text: str | None = Field(default=None, description="Its words beside the comments.")


class DoneComment(Answer):
    """A comment, and the commit that changed or deleted its line first."""

    comment: int
    commit: str


class ChangeHistoryOut(Answer):
    """How a change request came to be: commits newest first, requests oldest first."""

    commits: list[CommitOut]
    requests: list[RequestOut]
    done: list[DoneComment]


class ViewedMark(Body):
    """The body of `PUT /projects/{id}/changes/{n}/files/viewed`."""

    path: FilePath
    viewed: bool


class NewChangeComment(Body):
    """The body of `POST /projects/{id}/changes/{n}/comments`: on a line, a file, or all of it."""

    text: ReviewText
    file: FilePath | None = None
    line: Number | None = None
    side: Side = Side.NEW

    @model_validator(mode="after")
    def _is_on_a_file(self) -> Self:
        if self.line is not None and self.file is None:
            raise ValueError("A line needs its file.")
        return self


class CommentChange(Body):
    """The body of `PATCH /projects/{id}/changes/{n}/comments/{id}`."""

    text: ReviewText


class ChangesRequest(Body):
    """The body of `POST /projects/{id}/changes/{n}/request-changes`: a text, comments or both."""

    text: ReviewText | None = Field(default=None, description="Words on the whole change.")
    comments: Annotated[list[Number], Field(max_length=1000)] | None = Field(
        default=None, description="Ids of your drafts; left out: all of them."
    )


class ChangeCommentOut(Answer):
    """A comment on a change request, at the place that it has now."""

    id: int
    file: str | None = Field(default=None, description="Null: on the whole change.")
    line: int | None = Field(default=None, description="Null: on the whole file.")
    side: Side
    text: str
    draft: bool = Field(description="Not sent yet: only you see it.")
    outdated: bool = Field(description="Its line has changed since; this is where it was.")
    author: str
    created_at: Moment
    round: int | None = Field(default=None, description="The round that it was sent in.")


class ChangeComments(Answer):
    """The comments on a change request that you see, oldest first."""

    items: list[ChangeCommentOut]
