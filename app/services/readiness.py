"""Whether a project's runs can be done here by an agent: present, signed in, allowed."""

from __future__ import annotations

from app.domain.sandboxes import read_level
from app.domain.words import Cause
from app.records.tables import Project
from app.services.floor import Outside, repository_of
from app.services.ports import INCLUDE_LIST, CannotRead, Unready


class Readiness:
    """What is known of an agent here, and what a project may change about it."""

    def __init__(self, outside: Outside) -> None:
        self._agents = outside.agents
        self._mirrors = outside.mirrors

    def unready(self, project: Project, agent: str, branch: str) -> Unready | None:
        """Why an agent is known to be of no use for runs from a branch of a project, or None."""
        level = read_level(project.sandbox)
        known = self._agents.unready(agent, project.agent_command, level)
        return self.in_project(known, project, branch)

    def in_project(self, known: Unready | None, project: Project, branch: str) -> Unready | None:
        """The same, from what is known of the agent alone: a project may bring a sign-in along."""
        if known is None or known.cause is not Cause.AUTH:
            return known
        return None if self._may_sign_in(known, project, branch) else known

    def _may_sign_in(self, known: Unready, project: Project, branch: str) -> bool:
        if project.setup_command:
            return True
        repo = repository_of(project)
        try:
            return not self._mirrors.exists(repo) or self._mirrors.has_any(
                repo, branch, (INCLUDE_LIST, *known.unless)
            )
        except (CannotRead, OSError):
            return True
