"""Repositories at forges: whether they still have their name and the label that starts runs."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from app.domain.tracker.claims import NO_READY_LABEL, RENAMED, renamed_words
from app.domain.tracker.forges import full_name
from app.domain.words import READY_LABEL
from app.errors import Invalid, NotFound
from app.records.tables import Project
from app.services.concurrency import SingleFlight
from app.services.context import Context, repository_of
from app.services.ports import ClaimNotices, ForgeSilent
from app.services.runs.requests import as_unavailable
from app.services.system.ownership import Leases

log = structlog.get_logger()
# between two looks at one repository: as a rule, and while it holds its project
RARELY, SOON = timedelta(hours=1), timedelta(minutes=5)


class RepositoryWatch:
    """Holds projects whose repository at a forge lacks what runs need.

    Only the server that sweeps asks, and seldom: a forge redirects every question about a
    repository that has another name now, which shows that without a question more.
    """

    def __init__(self, context: Context, leases: Leases) -> None:
        self._projects = context.ledgers.projects
        self._forges = context.adapters.forges
        self._workers = context.workers
        self._clock = context.clock
        self._leases = leases
        # when each project is looked at again
        self._due: dict[str, datetime] = {}
        self._rounds = SingleFlight(lambda _: self.look_once(self._clock()))

    def request(self) -> None:
        """Look soon, on a worker thread."""
        if self._forges.is_any():
            self._rounds.request(self._workers)

    def look_once(self, now: datetime) -> int:
        """Look at the repositories that are due; return how many holds changed.

        A forge that is silent changes none.
        """
        if not self._leases.may_sweep(now):
            return 0
        changed = 0
        for project in self._projects.all():
            if project.forge_id is None or project.archived_at is not None:
                continue
            try:
                changed += self._look_at(project, now)
            except ForgeSilent as silence:
                log.info("forge_silent", project_id=project.id, because=silence)
                self._due[project.id] = now + max(SOON, _asked_for(silence))
            except Exception:
                log.exception("repository_not_read", project_id=project.id)
                self._due[project.id] = now + RARELY
        return changed

    def make_label(self, project_id: str) -> Project:
        """Make the label that starts runs in a project's repository. Raises a Refusal."""
        project = self._projects.find(project_id)
        if project is None:
            raise NotFound
        if project.forge_id is None:
            sentence = "This project's issues are kept in Runyard: no label is missing."
            raise Invalid.field("tracker", sentence)
        with as_unavailable():
            self._notices_of(project).make_label(repository_of(project), READY_LABEL)
        return self._hold(project, None) if project.forge_hold == NO_READY_LABEL else project

    def _look_at(self, project: Project, now: datetime) -> bool:
        if (project.forge_hold or "").startswith(RENAMED):
            # only a person says which repository it is now: see `relocation`
            return False
        has_moved = self._forges.has_moved(project)
        is_news = has_moved and project.forge_hold is None
        if not is_news and now < self._due.get(project.id, now):
            return False
        hold = self._renamed(project) if has_moved else None
        if hold is None and not self._has_label(project):
            hold = NO_READY_LABEL
        self._due[project.id] = now + (SOON if hold else RARELY)
        if hold == project.forge_hold:
            return False
        self._hold(project, hold)
        return True

    def _renamed(self, project: Project) -> str | None:
        name = project.repository or ""
        found = self._forges.repository(project.forge_id or "", name)
        if found is None or found.full_name.lower() == name.lower():
            return None
        return renamed_words(full_name(found.full_name) or "another name")

    def _has_label(self, project: Project) -> bool:
        return self._notices_of(project).has_label(repository_of(project), READY_LABEL)

    def _notices_of(self, project: Project) -> ClaimNotices:
        notices = self._forges.notices_of(project)
        if notices is None:
            raise ForgeSilent("its forge was removed", needs_attention=True)
        return notices

    def _hold(self, project: Project, hold: str | None) -> Project:
        return self._projects.change(project.id, forge_hold=hold) or project


def _asked_for(silence: ForgeSilent) -> timedelta:
    return timedelta(seconds=silence.retry_after or 0)
