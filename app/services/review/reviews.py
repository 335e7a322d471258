"""Reviews of change requests: their files, comments, and what each person has viewed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain.review.folding import is_folded
from app.domain.words import Side
from app.errors import ChangeClosed, ForgeUnavailable, Invalid, NotFound
from app.records.review.comment_ledger import MOST_COMMENTS, CommentLedger, TooManyComments
from app.records.review.sent_comments import SentComments
from app.records.tables import ChangeComment, ChangeRequest, ViewedFile
from app.services.context import Context, repository_of
from app.services.ports import CannotRead, ChangedFile, Diff, Repository
from app.services.review.places import CommentView, Places
from app.services.tracker.changes import ChangeService


@dataclass(frozen=True)
class FileView:
    """A file of a change as one person sees it."""

    file: ChangedFile
    is_viewed: bool

    @property
    def is_folded(self) -> bool:
        """True if its lines are shown only when a person asks."""
        return is_folded(self.file.path)


@dataclass(frozen=True)
class NewComment:
    """A comment to add: on a line, on a file, or (no file) on the whole change."""

    text: str
    file: str | None = None
    line: int | None = None
    side: Side = Side.NEW


class Reviews:
    """Reads the files of changes, and keeps comments and marks."""

    def __init__(self, context: Context, changes: ChangeService) -> None:
        self._ledger = CommentLedger(context.stores)
        self._sent = SentComments(context.stores)
        self._projects = context.ledgers.projects
        self._mirrors = context.adapters.mirrors
        self._changes = changes

    def files(self, project_id: str, number: int, person_id: str) -> list[FileView]:
        """Return the files of a change, by path. Raises a Refusal."""
        change = self._changes.find(project_id, number)
        viewed = self._ledger.viewed(project_id, number, person_id)
        return [
            FileView(one, one.path in viewed and viewed[one.path] == one.blob)
            for one in self._files_of(change)
        ]

    def diff(self, project_id: str, number: int, path: str) -> Diff:
        """Return the diff of one file of a change. Raises a Refusal."""
        change = self._changes.find(project_id, number)
        file = self._file_of(change, path)
        paths = [path] if file.previous is None else [file.previous, path]
        return self._mirrors.diff(self._repo(change), change.base_sha, change.head_sha, paths)

    def set_viewed(
        self, project_id: str, number: int, person_id: str, path: str, *, is_viewed: bool
    ) -> None:
        """Mark a file of a change as viewed, or not. Raises a Refusal."""
        change = self._changes.find(project_id, number)
        file = self._file_of(change, path)
        mark = ViewedFile(
            person_id=person_id, project_id=project_id, number=number, path=path, blob=file.blob
        )
        self._ledger.set_viewed(mark, is_viewed=is_viewed)

    # --- comments ------------------------------------------------------------------------------

    def comments(self, project_id: str, number: int, person_id: str) -> list[CommentView]:
        """Return the comments on a change that a person sees, oldest first. Raises NotFound."""
        change = self._changes.find(project_id, number)
        rows = self._rows(project_id, number, person_id)
        places = Places(self._mirrors, self._repo(change), change)
        return [places.view(row) for row in rows]

    def comment(
        self, project_id: str, number: int, author: tuple[str, str], new: NewComment, now: datetime
    ) -> CommentView:
        """Add a draft of a person, given by id and name. Raises a Refusal."""
        change = self._changes.find(project_id, number)
        if new.file is not None:
            self._file_of(change, new.file)
        row = ChangeComment(
            project_id=project_id,
            number=number,
            person_id=author[0],
            author=author[1],
            file=new.file,
            line=new.line,
            side=new.side,
            sha=change.head_sha if new.side is Side.NEW else change.base_sha,
            text=new.text,
            created_at=now,
        )
        try:
            if not self._ledger.add(row):
                raise ChangeClosed
        except TooManyComments as problem:
            raise Invalid(f"A change can have {MOST_COMMENTS} comments at most.") from problem
        return CommentView(row, row.file, row.line, row.sha)

    def edit(
        self, project_id: str, number: int, person_id: str, comment: int, text: str
    ) -> CommentView:
        """Give a person's draft another text. Raises NotFound."""
        edited = self._ledger.edit(self._draft(project_id, number, person_id, comment), text)
        if edited is None:
            raise NotFound
        change = self._changes.find(project_id, number)
        return Places(self._mirrors, self._repo(change), change).view(edited)

    def remove(self, project_id: str, number: int, person_id: str, comment: int) -> None:
        """Delete a person's draft. Raises NotFound."""
        if not self._ledger.remove(self._draft(project_id, number, person_id, comment)):
            raise NotFound

    def _draft(self, project_id: str, number: int, person_id: str, comment: int) -> ChangeComment:
        for row in self._rows(project_id, number, person_id):
            if row.id == comment and row.person_id == person_id and row.round is None:
                return row
        raise NotFound("You have no such draft here. A comment that was sent stays as it is.")

    def _rows(self, project_id: str, number: int, person_id: str) -> list[ChangeComment]:
        # a server that ended between a run's acceptance and the marks left them to be made here
        self._sent.settle_if_possible(project_id, number)
        return self._ledger.of_change(project_id, number, person_id)

    def _files_of(self, change: ChangeRequest) -> list[ChangedFile]:
        try:
            return self._mirrors.changed_files(self._repo(change), change.base_sha, change.head_sha)
        except (CannotRead, OSError) as problem:
            raise ForgeUnavailable(f"The mirror could not be read: {problem}") from problem

    def _file_of(self, change: ChangeRequest, path: str) -> ChangedFile:
        for file in self._files_of(change):
            if path in (file.path, file.previous):
                return file
        raise NotFound(f"Change #{change.number} does not touch this file.")

    def _repo(self, change: ChangeRequest) -> Repository:
        project = self._projects.find(change.project_id)
        if project is None:
            raise NotFound
        return repository_of(project)
