"""Checks of projects: their settings, the hold of the loop, and checks that files suggest."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog

from app.domain.projects.checks import checks_problem, read_checks
from app.domain.projects.suggested_checks import FILES, MOST_BYTES, suggest_checks
from app.errors import ProjectArchived
from app.records.feed import ObstacleRemoved
from app.records.projects.check_holds import lift_check_hold
from app.records.stores.outbox import CHECK_HOLD
from app.records.tables import Project
from app.services.context import Context, repository_of
from app.services.ports import CannotRead, Repository
from app.services.system.outbox import OutboxProcessor

log = structlog.get_logger()
OVERTAKEN = "a check could not be started; a person has had it tried again since"
# a change of one of these may let a check start
_SURROUNDINGS = ("checks", "sandbox", "network", "allowed_hosts", "allow", "toolchains", "limits")


def wants_suggestion(project: Project) -> bool:
    """Return True for a project in use to whose suggestions nobody has answered yet."""
    is_open = project.state == "ready" and project.archived_at is None
    return is_open and not project.checks_answered and not project.checks


class ProjectChecks:
    """Settles the checks of projects, and lifts the hold of one that could not be started."""

    def __init__(self, context: Context, outbox: OutboxProcessor) -> None:
        self._projects = context.ledgers.projects
        self._outbox = outbox
        self._publish = context.feed.publish
        self._mirrors = context.adapters.mirrors
        self._clock = context.clock
        # by project id: the commit whose files were looked at last
        self._seen: dict[str, str] = {}

    @staticmethod
    def wrong(settings: Mapping[str, Any]) -> dict[str, str | None]:
        """Return a sentence if the given checks are invalid, None if they are fine."""
        return {"checks": checks_problem(read_checks(settings.get("checks")))}

    @staticmethod
    def settle(settings: dict[str, Any]) -> dict[str, Any]:
        """Return the columns of new or changed settings; setting checks answers suggestions."""
        if "suggested_checks" in settings:
            del settings["suggested_checks"]
            settings["checks_answered"] = True
        if settings.get("checks") is None:
            return {}
        checks = [one.as_data() for one in read_checks(settings["checks"])]
        return {"checks": checks, "checks_answered": True}

    def lifted(self, project: Project, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns that lift the hold, if these columns change what could cause it."""
        changed = [one for one in _SURROUNDINGS if one in columns]
        is_other = any(columns[one] != getattr(project, one) for one in changed)
        # also where nothing is held: a check that began before may still fail
        return {"checks_error": None, "checks_changed_at": self._clock()} if is_other else {}

    def suggested(self, repo: Repository, base: str) -> list[dict[str, Any]] | None:
        """Return the checks that the files of origin's branch suggest, None if it is unreadable."""
        try:
            sha = self._mirrors.origin_tip(repo, base)
            if sha is None:
                return None
            self._seen[repo.project_id] = sha
            if not self._mirrors.has_any(repo, base, FILES):
                return []
            read = partial(self._mirrors.read_file, repo, sha, most=MOST_BYTES)
            found = {name: read(name) for name in FILES}
        except CannotRead as problem:
            log.info("checks_not_suggested", project_id=repo.project_id, because=problem)
            return None
        texts = {name: file.text for name, file in found.items() if file is not None}
        return [one.as_data() for one in suggest_checks(texts)]

    def suggest_once(self, project: Project) -> None:
        """Look for checks to suggest, if origin's base has moved since the last look."""
        if not wants_suggestion(project):
            return
        repo = repository_of(project)
        found = self.suggested(repo, project.base_branch) if self._is_news(project, repo) else None
        if found is None or found == project.suggested_checks:
            return
        # the row may have changed since it was read for the fetch
        latest = self._projects.find(project.id)
        if latest is not None and latest.base_branch == project.base_branch:
            self._projects.change(project.id, suggested_checks=found)

    def _is_news(self, project: Project, repo: Repository) -> bool:
        """Return True unless the files at the base are the ones looked at last."""
        if project.suggested_checks is None:
            return True
        try:
            return self._mirrors.origin_tip(repo, project.base_branch) != self._seen.get(project.id)
        except CannotRead as problem:
            log.info("checks_not_suggested", project_id=project.id, because=problem)
            return False

    def try_again(self, project: Project) -> None:
        """Lift the hold of a check that could not be started, also one not applied yet."""
        if project.archived_at is not None:
            raise ProjectArchived
        with self._outbox.overtaking(project.id, (CHECK_HOLD,), OVERTAKEN) as tx:
            lift_check_hold(tx, project.id)
        self._publish([ObstacleRemoved()])
