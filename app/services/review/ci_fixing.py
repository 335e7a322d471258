"""Runs that fix what CI at a forge found wrong with a change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from app.domain.agents.prompt_parts import ReviewComment, as_text
from app.domain.review.sent import SentComment
from app.domain.tracker.ci import CiState, read_ci
from app.domain.words import Depth, Trigger
from app.errors import ChangeClosed, CiNotFailed, ForgeUnavailable, NoRun, NotFound
from app.records.tables import ChangeRequest
from app.services.context import Context, repository_of
from app.services.ports import FailedJob, ForgeSilent
from app.services.runs.accept import AcceptService
from app.services.runs.requests import Accepted, Requester, RunRequest
from app.services.tracker.changes import ChangeService

CI = "CI"
NAMED = 3
# of all logs together
MOST_LOG = 160 * 1024


class CiFixing:
    """Starts runs on changes whose CI failed, with the names and logs of the failed jobs."""

    def __init__(self, context: Context, changes: ChangeService, accept: AcceptService) -> None:
        self._projects = context.ledgers.projects
        self._forges = context.adapters.forges
        self._changes = changes
        self._accept = accept

    def fix(self, project_id: str, number: int, requester: Requester, now: datetime) -> Accepted:
        """Start such a run on a change, or return the one its key created. Raises a Refusal."""
        order = RunRequest(
            project_id=project_id,
            depth=Depth.STANDARD,
            framework="auto",
            pr_number=number,
            asked_as=f"fix-ci {number}",
        )
        requester = replace(requester, trigger=Trigger.REVIEW)
        accepted = self._accept.replay(order, requester, now)
        if accepted is not None:
            return accepted
        change = self._changes.find(project_id, number)
        if change.state != "open":
            raise ChangeClosed.of(number, change.state)
        if change.run_id is None:
            raise NoRun
        if read_ci(change.ci_seen, change.head_sha).state is not CiState.FAILED:
            raise CiNotFailed
        jobs = self._jobs(change)
        task = f"Fix the CI of change request #{number}: {_names(jobs)}."
        order = replace(order, task=task, review=_told(jobs))
        return self._accept.accept(order, requester, now)

    def _jobs(self, change: ChangeRequest) -> list[FailedJob]:
        project = self._projects.find(change.project_id)
        if project is None:
            raise NotFound
        try:
            requests = self._forges.requests_of(project)
            if requests is None:
                raise CiNotFailed
            jobs = requests.failed_jobs(repository_of(project), change.head_sha)
        except ForgeSilent as silence:
            raise ForgeUnavailable(f"The forge cannot be asked now: {silence}.") from silence
        if not jobs:
            raise CiNotFailed("CI does not fail any more for this change request.")
        return jobs


def _names(jobs: Sequence[FailedJob]) -> str:
    named = ", ".join(as_text(one.name) for one in jobs[:NAMED])
    more = f" and {len(jobs) - NAMED} more" if len(jobs) > NAMED else ""
    return f"{named}{more} failed"


def _told(jobs: Sequence[FailedJob]) -> tuple[SentComment, ...]:
    """Return each failed job as a comment on the whole change, with the end of its log."""
    left = MOST_LOG
    told: list[SentComment] = []
    for one in jobs:
        log = as_text(one.log)[-left:] if left else ""
        left -= len(log)
        parts = [f"The job {one.name} failed."]
        parts += [f"Its page: {one.url}"] if one.url else []
        parts += [f"The last lines of its log:\n\n{log}"] if log else []
        words = ReviewComment(as_text("\n".join(parts)), CI)
        told.append(SentComment(words))
    return tuple(told)
