"""Requests for changes: comments on a change request, sent to an agent with a run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.domain.agents.prompt_parts import ReviewComment, as_text
from app.domain.review.sent import MAX_REVIEW_BYTES, SentComment, as_rows, lines_around
from app.domain.tracker.merge_waits import WORKED_ON
from app.domain.words import Depth, Side
from app.errors import ChangeClosed, ForgeUnavailable, Invalid, NoRun, NotFound
from app.records.review.comment_ledger import CommentLedger
from app.records.review.sent_comments import SentComments
from app.records.tables import ChangeComment, ChangeRequest
from app.services.context import Context, repository_of
from app.services.ports import CannotRead, Repository
from app.services.review.places import CommentView, Places
from app.services.runs.accept import AcceptService
from app.services.runs.requests import Accepted, Requester, RunRequest
from app.services.tracker.changes import ChangeService
from app.services.tracker.scheduled_merges import ScheduledMerges

# of a file whose lines are quoted
MAX_FILE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Wanted:
    """A person's wishes: a text, and drafts of theirs by id; None for all of them."""

    author: str
    text: str | None = None
    comments: Sequence[int] | None = None

    def asked_as(self, number: int) -> str:
        """Return the request as its key distinguishes it from others."""
        ids = None if self.comments is None else sorted(set(self.comments))
        return json.dumps(["request-changes", number, self.text, ids])


class Feedback:
    """Starts runs that work on a change request's comments; each run holds its comments."""

    def __init__(
        self,
        context: Context,
        changes: ChangeService,
        merges: ScheduledMerges,
        accept: AcceptService,
    ) -> None:
        self._ledger = CommentLedger(context.stores)
        self._sent = SentComments(context.stores)
        self._projects = context.ledgers.projects
        self._mirrors = context.adapters.mirrors
        self._changes = changes
        self._merges = merges
        self._accept = accept

    def request_changes(
        self, project_id: str, number: int, wanted: Wanted, requester: Requester, now: datetime
    ) -> Accepted:
        """Start a run on the change with these comments, or return the one its key created.

        A merge that the forge was to make by itself is canceled first. Raises a Refusal, and then
        everything else is as before.
        """
        order = RunRequest(
            project_id=project_id,
            depth=Depth.STANDARD,
            framework="auto",
            pr_number=number,
            task=f"Work through the review of change request #{number}.",
            asked_as=wanted.asked_as(number),
        )
        accepted = self._accept.replay(order, requester, now)
        if accepted is None:
            change = self._open(project_id, number)
            review = self._review(change, wanted, requester.person_id)
            self._merges.call_off(change, WORKED_ON, now)
            accepted = self._accept.accept(replace(order, review=review), requester, now)
        self._sent.settle_if_possible(project_id, number)
        return accepted

    def _open(self, project_id: str, number: int) -> ChangeRequest:
        change = self._changes.find(project_id, number)
        if change.state != "open":
            raise ChangeClosed.of(number, change.state)
        if change.run_id is None:
            raise NoRun
        return change

    def _review(
        self, change: ChangeRequest, wanted: Wanted, person_id: str
    ) -> tuple[SentComment, ...]:
        drafts = self._drafts(change, wanted, person_id)
        found: list[SentComment] = []
        if wanted.text is not None:
            found.append(SentComment(ReviewComment(as_text(wanted.text), wanted.author)))
        found += self._with_lines(change, drafts)
        if not found:
            raise Invalid.field(
                "text", "You have no drafts here: write a text or a comment that says what to do."
            )
        if len(json.dumps(as_rows(found))) > MAX_REVIEW_BYTES:
            most = MAX_REVIEW_BYTES // 1024
            raise Invalid.field(
                "comments", f"Together they are longer than {most} KiB: send fewer at a time."
            )
        return tuple(found)

    def _drafts(self, change: ChangeRequest, wanted: Wanted, person_id: str) -> list[ChangeComment]:
        place = change.project_id, change.number
        # what an earlier run already holds must not be sent again
        self._sent.settle(*place)
        rows = self._ledger.of_change(*place, person_id)
        drafts = [row for row in rows if row.round is None]
        if wanted.comments is None:
            return drafts
        unknown = set(wanted.comments) - {row.id for row in drafts}
        if unknown:
            raise Invalid.field("comments", f"You have no draft {min(unknown)} here.")
        return [row for row in drafts if row.id in wanted.comments]

    def _with_lines(
        self, change: ChangeRequest, drafts: Sequence[ChangeComment]
    ) -> Iterator[SentComment]:
        project = self._projects.find(change.project_id)
        if project is None:
            raise NotFound
        repo = repository_of(project)
        places = Places(self._mirrors, repo, change)
        texts: dict[tuple[str, str], str] = {}
        for row in drafts:
            view = places.view(row)
            first, lines = 1, tuple[str, ...]()
            if view.file is not None and view.line is not None:
                at = view.sha, view.file
                if at not in texts:
                    texts[at] = self._text(repo, *at)
                first, lines = lines_around(texts[at], view.line)
            yield SentComment(_words(view, first, lines), row.id)

    def _text(self, repo: Repository, sha: str, path: str) -> str:
        """Return a file of a commit; empty if the commit has no such file."""
        try:
            found = self._mirrors.read_file(repo, sha, path, most=MAX_FILE_BYTES)
        except (CannotRead, OSError) as problem:
            raise ForgeUnavailable(f"The mirror could not be read: {problem}") from problem
        return found.text if found else ""


def _words(view: CommentView, first: int, lines: tuple[str, ...]) -> ReviewComment:
    return ReviewComment(
        text=as_text(view.row.text),
        author=view.row.author,
        file=view.file or "",
        line=view.line,
        side=Side(view.row.side),
        lines=lines,
        first=first,
        is_outdated=view.is_outdated,
    )
