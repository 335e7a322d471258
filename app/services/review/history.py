"""How a change came to be: its commits, what people asked for, and which commit answered it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain.review.diffs import FileDiff, line_after, read_diff
from app.domain.review.sent import read_rows
from app.domain.words import Side
from app.errors import ForgeUnavailable, NotFound
from app.records.review.comment_ledger import CommentLedger
from app.records.review.sent_comments import SentComments, SentRound
from app.records.tables import ChangeComment, ChangeRequest
from app.services.context import Context, repository_of
from app.services.ports import CannotRead, Commit, Repository
from app.services.tracker.changes import ChangeService

# commits after a comment among which the one that changed its line is looked for
MOST_LOOKED_AT = 20


@dataclass(frozen=True)
class Request:
    """A round: who asked an agent for changes, in which words beside their comments."""

    round: int
    run_id: str
    at: datetime
    author: str | None
    text: str | None


@dataclass(frozen=True)
class ChangeHistory:
    """The commits, newest first; the requests, oldest first; comments with the commit that did it.

    A comment without one is not in `done`: its line is as it was.
    """

    commits: tuple[Commit, ...]
    requests: tuple[Request, ...]
    done: dict[int, str]


class Histories:
    """Reads the history of changes."""

    def __init__(self, context: Context, changes: ChangeService) -> None:
        self._ledger = CommentLedger(context.stores)
        self._sent = SentComments(context.stores)
        self._projects = context.ledgers.projects
        self._mirrors = context.adapters.mirrors
        self._changes = changes

    def of(self, project_id: str, number: int, person_id: str) -> ChangeHistory:
        """Return the history of a change as a person sees it. Raises a Refusal."""
        change = self._changes.find(project_id, number)
        project = self._projects.find(project_id)
        if project is None:
            raise NotFound
        repo = repository_of(project)
        requests = map(_request, self._sent.rounds(project_id, number))
        comments = self._ledger.of_change(project_id, number, person_id)
        try:
            commits = self._mirrors.commits(repo, change.base_sha, change.head_sha)
            done = self._done(repo, change, commits, comments)
        except (CannotRead, OSError) as problem:
            raise ForgeUnavailable(f"The mirror could not be read: {problem}") from problem
        return ChangeHistory(tuple(commits), tuple(requests), done)

    def _done(
        self,
        repo: Repository,
        change: ChangeRequest,
        commits: Sequence[Commit],
        comments: Sequence[ChangeComment],
    ) -> dict[int, str]:
        """Return by comment the first commit that changed or deleted its line."""
        found: dict[int, str] = {}
        diffs: dict[tuple[str, str], list[FileDiff]] = {}
        for row in comments:
            if row.round is None or row.file is None or row.line is None or row.side != Side.NEW:
                continue
            for commit in _after(commits, row.sha):
                pair = row.sha, commit.sha
                if pair not in diffs:
                    diff = self._mirrors.diff(repo, *pair)
                    diffs[pair] = [] if diff.is_cut else read_diff(diff.text)
                if line_after(diffs[pair], row.file, row.line) is None:
                    found[row.id or 0] = commit.sha
                    break
        return found


def _after(commits: Sequence[Commit], sha: str) -> list[Commit]:
    """Return the commits after one, oldest first."""
    shas = [one.sha for one in commits]
    if sha not in shas:
        return []
    return list(reversed(commits[: shas.index(sha)]))[:MOST_LOOKED_AT]


def _request(sent: SentRound) -> Request:
    held = read_rows(sent.review)
    words = next((one.words for one in held if one.id is None), None)
    author = next((one.words.author for one in held), None)
    return Request(sent.round, sent.run_id, sent.at, author, words.text if words else None)
