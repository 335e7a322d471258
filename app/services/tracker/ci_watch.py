"""CI of open pull requests: read where it may have changed, kept with the change and its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from app.domain.tracker.ci import Ci, CiState, read_ci, seen_at, why_unread
from app.records.projects.change_ends import undecided
from app.records.runs.handover_ledger import HandoverLedger
from app.records.tables import ChangeRequest, Project, Run
from app.services.context import Context, repository_of
from app.services.ports import ForgeSilent, PullRequests

log = structlog.get_logger()
# a commit may be reported on some time after its push, or again when somebody repeats a job
YOUNG = timedelta(minutes=15)
SETTLED = {
    CiState.UNKNOWN: timedelta(hours=1),
    CiState.PASSED: timedelta(hours=1),
    CiState.FAILED: timedelta(minutes=10),
}
# what cannot be read needs a person
UNREAD = timedelta(hours=1)


@dataclass(frozen=True)
class _Asked:
    """A head, since when it is known here, and when it was last asked for."""

    head_sha: str
    since: datetime
    at: datetime


class CiWatch:
    """Asks for the CI of a head that is new or pending at each look, and of others now and then."""

    def __init__(self, context: Context) -> None:
        self._stores = context.stores
        self._tracker = context.ledgers.tracker
        self._runs = context.ledgers.runs
        self._handovers = HandoverLedger(context.ledgers.runs)
        # by project and number of its open changes
        self._asked: dict[str, dict[int, _Asked]] = {}

    def look(self, project: Project, requests: PullRequests, now: datetime) -> int:
        """Read what CI says of a project's open changes; return how many changed.

        Where it cannot be read until a person helps, that is kept. Raises ForgeSilent.
        """
        changes = undecided(self._stores, project.id)
        known = self._asked.get(project.id, {})
        asked = self._asked[project.id] = {
            one.number: known[one.number]
            for one in changes
            if one.number in known and known[one.number].head_sha == one.head_sha
        }
        due = [one for one in changes if _is_due(one, asked.get(one.number), now)]
        return sum(self._read(project, requests, one, asked, now) for one in due)

    def forget(self, project_id: str) -> None:
        """Ask for all heads of a project at the next look."""
        self._asked.pop(project_id, None)

    def runs_on(self, change: ChangeRequest) -> list[Run]:
        """Return the runs that opened a change or worked on it, oldest first."""
        runs = self._handovers.of_branch(change.project_id, change.branch)
        own = [one for one in runs if one.pr_number == change.number or one.id == change.run_id]
        return sorted(own, key=lambda one: (one.created_at, one.id))

    def _read(
        self,
        project: Project,
        requests: PullRequests,
        change: ChangeRequest,
        asked: dict[int, _Asked],
        now: datetime,
    ) -> bool:
        found, because = Ci(), ""
        try:
            found = requests.ci(repository_of(project), change.head_sha)
        except ForgeSilent as silence:
            # a token that may not read CI may read reviews
            if not silence.needs_attention:
                raise
            because = str(silence) or "its forge does not tell it"
            log.info("ci_not_read", change=change.number, because=because)
        known = asked.get(change.number)
        asked[change.number] = _Asked(change.head_sha, known.since if known else now, now)
        seen = seen_at(found, change.head_sha, unread=because)
        if change.ci_seen == seen:
            return False
        # the runs first: what a crash leaves out is told again as long as the row is as it was
        self._tell(self.runs_on(change), found)
        return self._tracker.update_change(project.id, change.number, ci_seen=seen) is not None

    def _tell(self, runs: Sequence[Run], found: Ci) -> None:
        for run in runs:
            if run.delivery is not None:
                delivery = run.delivery | {"ci": found.as_data()}
                self._runs.update_fields(run.id, run.project_id, delivery=delivery)


def _is_due(change: ChangeRequest, known: _Asked | None, now: datetime) -> bool:
    if known is None:
        return True
    if why_unread(change.ci_seen, change.head_sha):
        return now - known.at >= UNREAD
    state = read_ci(change.ci_seen, change.head_sha).state
    if state is CiState.PENDING or (state is CiState.UNKNOWN and now - known.since < YOUNG):
        return True
    return now - known.at >= SETTLED[state]
