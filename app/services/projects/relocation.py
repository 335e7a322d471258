"""Finds a project's repository again: at its old place, or at the one it has moved to."""

from __future__ import annotations

from app.domain.names import OriginKind, origin_kind
from app.errors import ForgeUnavailable, Invalid, ProjectArchived
from app.records.tables import Project
from app.services.context import Context, repository_of
from app.services.ports import CannotRead, OriginProblem, Remote, Repository
from app.services.projects.projects import ORIGIN_SECONDS, ProjectService
from app.services.system.origin_watch import OriginWatch
from app.services.tracker.forges import ForgeService


class Relocation:
    """Looks for the repositories of projects whose origin cannot be reached."""

    def __init__(
        self,
        context: Context,
        projects: ProjectService,
        origins: OriginWatch,
        forges: ForgeService,
    ) -> None:
        self._ledger = context.ledgers.projects
        self._mirrors = context.adapters.mirrors
        self._projects = projects
        self._origins = origins
        self._forges = forges

    def check_again(self, project_id: str) -> Project:
        """Look for origin now; a clone that failed is made again. Raises a Refusal."""
        project = self._open(project_id)
        if project.state == "broken":
            return self._clone(project, project.origin)
        self._origins.check_now(project, ORIGIN_SECONDS)
        return self._projects.find(project_id)

    def locate(self, project_id: str, origin: str) -> Project:
        """Use the same repository at another place from now on, and fetch from it.

        Raises a Refusal: for another repository, or one that cannot be read.
        """
        project = self._open(project_id)
        if problem := self._projects.origin_problem(origin):
            raise Invalid.field("origin", problem)
        origin = origin.rstrip("/") if origin_kind(origin) is OriginKind.PATH else origin
        if origin == project.origin:
            return self.check_again(project_id)
        place = self._place_at_forge(project, origin)
        try:
            remote = self._mirrors.inspect_origin(origin, timeout_seconds=ORIGIN_SECONDS)
            self._refuse_another(project, origin, remote)
        except OriginProblem as problem:
            if problem.for_good:
                raise Invalid.field("origin", problem.sentence) from problem
            raise ForgeUnavailable(problem.sentence) from problem
        if project.state != "ready":
            return self._clone(project, origin, **place)
        # hooks of another folder were never trusted
        self._ledger.change(project_id, origin=origin, owner_hooks=None, **place)
        moved = self._projects.find(project_id)
        try:
            self._mirrors.fetch(repository_of(moved))
        except OriginProblem as problem:
            self._origins.record_trouble(moved, problem)
        else:
            self._origins.record_fetch(moved)
        return self._projects.find(project_id)

    def _place_at_forge(self, project: Project, origin: str) -> dict[str, str | None]:
        """Return the columns of a repository that has another name at its forge now."""
        if project.forge_id is None or origin_kind(origin) is OriginKind.PATH:
            return {}
        name = self._forges.repository_at(project.forge_id, origin)
        return {"repository": name, "forge_hold": None}

    def _open(self, project_id: str) -> Project:
        project = self._projects.find(project_id)
        if project.archived_at is not None:
            raise ProjectArchived
        return project

    def _refuse_another(self, project: Project, origin: str, remote: Remote) -> None:
        base = project.base_branch
        if base not in {branch.name for branch in remote.branches}:
            said = f"This repository has no branch {base}, where the work of this project starts."
            raise Invalid.field("origin", said)
        repo = repository_of(project)
        if self._mirrors.exists(repo) and not self._begins_alike(repo, origin):
            said = "This is another repository: its history begins with another commit."
            raise Invalid.field("origin", f"{said} Add it as a separate project instead.")

    def _begins_alike(self, repo: Repository, origin: str) -> bool:
        try:
            return self._mirrors.begins_alike(repo, origin)
        except CannotRead as problem:
            said = "The beginning of its history could not be read just now. Try again."
            raise ForgeUnavailable(said) from problem

    def _clone(self, project: Project, origin: str, **place: str | None) -> Project:
        """Clone anew from `origin`, in the background."""
        columns = {"state": "cloning", "state_because": None, **place}
        self._ledger.change(project.id, origin=origin, **columns)
        self._projects.clone_soon(project.id)
        return self._projects.find(project.id)
