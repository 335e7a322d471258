"""Runs whose agents open their pull requests: the sign-in they get, and the request they opened."""

from __future__ import annotations

from app.domain.tracker.agent_requests import (
    AgentRequest,
    OpenedRequest,
    judge_requests,
)
from app.domain.tracker.forges import ForgeKind, host_of
from app.domain.words import Status
from app.records.tables import Project, Run
from app.services.context import Adapters, repository_of
from app.services.ports import (
    ForgeSilent,
    LentSignIn,
    PrivateHome,
    SignInUnusable,
)

API_OF_GITHUB = "api.github.com"


class AgentOpenings:
    """Lends agents their sign-in at the forge, and finds the requests they opened."""

    def __init__(self, adapters: Adapters) -> None:
        self._adapters = adapters

    def lend(self, project: Project, home: PrivateHome | None) -> LentSignIn:
        """Copy the project's sign-in to where its agents can read it. Raises SignInUnusable."""
        at = self._adapters.forges.place_of(project)
        if at is None or not project.pr_sign_in:
            raise SignInUnusable("The project names no sign-in with which agents open them.")
        inside = None if home is None else home.home
        return self._adapters.sign_ins.lend(project.id, project.pr_sign_in, at, inside)

    def hosts(self, project: Project) -> list[str]:
        """Return the hosts that an agent needs to push and to open a pull request."""
        at = self._adapters.forges.place_of(project)
        if at is None:
            return []
        host = host_of(at.url)
        is_public = at.kind == ForgeKind.GITHUB and host == "github.com"
        return [host, API_OF_GITHUB] if is_public else [host]

    def find(self, run: Run, project: Project) -> AgentRequest:
        """Return the pull request that a run's agent opened. Raises ForgeSilent."""
        requests = self._adapters.forges.requests_of(project)
        if requests is None:
            raise ForgeSilent("the project is at no forge any more", needs_attention=True)
        began = run.taken_at or run.created_at
        found = requests.opened_on(repository_of(project), run.work_branch, since=began)
        return judge_requests(found, run.id, run.branch_name)

    def head_of(self, run: Run, project: Project, request: OpenedRequest) -> tuple[str, bool]:
        """Return the commit of a request, and True if its run has more commits than that.

        Raises OriginProblem, CannotRead.
        """
        repo, mirrors = repository_of(project), self._adapters.mirrors
        mirrors.fetch(repo)
        head = mirrors.origin_tip(repo, run.work_branch) or request.head_sha
        tip = run.head_sha if run.status == Status.DELIVERING else None
        tip = tip or mirrors.tip(repo, run.work_branch)
        if tip in (None, head) or request.state != "open":
            return head, False
        is_ahead = mirrors.stat(repo, head, tip).commits > 0
        return head, is_ahead and mirrors.stat(repo, tip, head).commits == 0
