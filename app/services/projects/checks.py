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
    """Return True for a project in use whose files were not looked at for checks yet."""
    is_open = project.state == "ready" and project.archived_at is None
    is_answered = project.checks_answered or bool(project.checks)
    return is_open and not is_answered and project.suggested_checks is None


class ProjectChecks:
    """Settles the checks of projects, and lifts the hold of one that could not be started."""

    def __init__(self, context: Context, outbox: OutboxProcessor) -> None:
        self._projects = context.ledgers.projects
        self._outbox = outbox
        self._publish = context.feed.publish
        self._mirrors = context.adapters.mirrors

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

    @staticmethod
    def lifted(project: Project, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return the column that lifts the hold, if these columns change what could cause it."""
        changed = [one for one in _SURROUNDINGS if one in columns]
        is_other = any(columns[one] != getattr(project, one) for one in changed)
        return {"checks_error": None} if project.checks_error and is_other else {}

    def suggested(self, repo: Repository, base: str) -> list[dict[str, Any]] | None:
        """Return the checks that the files of origin's branch suggest, None if it is unreadable."""
        try:
            sha = self._mirrors.origin_tip(repo, base)
            if sha is None:
                return None
            if not self._mirrors.has_any(repo, base, FILES):
                return []
            read = partial(self._mirrors.read_file, repo, sha, most=MOST_BYTES)
            found = {name: read(name) for name in FILES}
        except CannotRead as problem:
            log.info("checks_not_suggested", project_id=repo.project_id, because=problem)
            return None
        texts = {name: file.text for name, file in found.items() if file is not None}
        return [one.as_data() for one in suggest_checks(texts)]

    def suggest_once(self, project_id: str) -> bool:
        """Look for checks to suggest in a project where nobody looked yet. Return True if found."""
        project = self._projects.find(project_id)
        if project is None or not wants_suggestion(project):
            return False
        found = self.suggested(repository_of(project), project.base_branch)
        if found is not None:
            self._projects.change(project_id, suggested_checks=found)
        return bool(found)

    def try_again(self, project: Project) -> None:
        """Lift the hold of a check that could not be started, also one not applied yet."""
        if project.archived_at is not None:
            raise ProjectArchived
        with self._outbox.overtaking(project.id, (CHECK_HOLD,), OVERTAKEN) as tx:
            lift_check_hold(tx, project.id)
        self._publish([ObstacleRemoved()])
