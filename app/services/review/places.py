"""The places of comments in the present commits of their change."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from app.domain.review.diffs import line_after, read_diff
from app.domain.words import Side
from app.records.tables import ChangeComment, ChangeRequest
from app.services.ports import CannotRead, Diff, Mirrors, Repository

log = structlog.get_logger()


@dataclass(frozen=True)
class CommentView:
    """A comment at the place that it has now, which is in the commit `sha`.

    An outdated comment keeps the place that it was written at: its line is gone.
    """

    row: ChangeComment
    file: str | None
    line: int | None
    sha: str
    is_outdated: bool = False

    @property
    def is_draft(self) -> bool:
        """True until it is sent."""
        return self.row.round is None


class Places:
    """Follows comments from the commits that they were written on; each diff is read once."""

    def __init__(self, mirrors: Mirrors, repo: Repository, change: ChangeRequest) -> None:
        self._mirrors = mirrors
        self._repo = repo
        self._change = change
        self._known: dict[str, Diff | None] = {}

    def view(self, row: ChangeComment) -> CommentView:
        """Return a comment where it is now."""
        now = self._change.head_sha if row.side == Side.NEW else self._change.base_sha
        if row.sha == now or row.file is None:
            return CommentView(row, row.file, row.line, now)
        outdated = CommentView(row, row.file, row.line, row.sha, is_outdated=True)
        diff = self._between(row.sha, now)
        if diff is None or diff.is_cut:
            return outdated
        place = line_after(read_diff(diff.text), row.file, row.line or 1)
        if place is None:
            return outdated
        return CommentView(row, place[0], place[1] if row.line is not None else None, now)

    def _between(self, before: str, after: str) -> Diff | None:
        if before not in self._known:
            self._known[before] = None
            try:
                # of all files: limited to one, git would not see that it was renamed
                self._known[before] = self._mirrors.diff(self._repo, before, after)
            except (CannotRead, OSError) as problem:
                log.info("comment_not_followed", because=problem)
        return self._known[before]
