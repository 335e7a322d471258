"""Checks of projects: their settings, the hold of the loop, and checks that files suggest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.projects.checks import checks_problem, read_checks
from app.errors import ProjectArchived
from app.records.feed import ObstacleRemoved
from app.records.projects.check_holds import lift_check_hold
from app.records.stores.outbox import CHECK_HOLD
from app.records.tables import Project
from app.services.context import Context
from app.services.system.outbox import OutboxProcessor

OVERTAKEN = "a check could not be started; a person has had it tried again since"
# a change of one of these may let a check start
_SURROUNDINGS = ("checks", "sandbox", "network", "allowed_hosts", "allow", "toolchains", "limits")


class ProjectChecks:
    """Settles the checks of projects, and lifts the hold of one that could not be started."""

    def __init__(self, context: Context, outbox: OutboxProcessor) -> None:
        self._projects = context.ledgers.projects
        self._outbox = outbox
        self._publish = context.feed.publish

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

    def try_again(self, project: Project) -> None:
        """Lift the hold of a check that could not be started, also one not applied yet."""
        if project.archived_at is not None:
            raise ProjectArchived
        with self._outbox.overtaking(project.id, (CHECK_HOLD,), OVERTAKEN) as tx:
            lift_check_hold(tx, project.id)
        self._publish([ObstacleRemoved()])
