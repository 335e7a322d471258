"""Runs whose agents open their pull requests: the sign-in they get, and the request they opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from app.domain.tracker.agent_requests import (
    OPENS_AS,
    AgentRequest,
    OpenedRequest,
    Wanted,
    judge_requests,
)
from app.domain.tracker.forges import ForgeKind, host_of
from app.domain.words import Status
from app.records.runs.handover_ledger import HandoverLedger
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Project, Run
from app.services.context import Adapters, repository_of
from app.services.ports import (
    CannotRead,
    ForgeSilent,
    LentSignIn,
    PrivateHome,
    Repository,
    SignInUnusable,
)
from app.services.push_checks import NOT_PUSHED, Objection, Unchecked

API_OF_GITHUB = "api.github.com"


@dataclass(frozen=True)
class TakenOver:
    """The head of a request that a run's agent opened, and how the run's commits differ from it.

    `is_behind`: they only add to it, and can be pushed. `left_out` counts those it is without.
    """

    head: str
    is_behind: bool = False
    left_out: int = 0


class LendsSignIns:
    """Lends agents the sign-in with which they open pull requests."""

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
        """Return the hosts that an agent needs to push and to open a pull request.

        A person added the forge, which may be in a private network.
        """
        at = self._adapters.forges.place_of(project)
        if at is None:
            return []
        host = host_of(at.url)
        is_public = at.kind == ForgeKind.GITHUB and host == "github.com"
        return [host, API_OF_GITHUB] if is_public else [host]


class AgentOpenings:
    """Finds the requests that agents opened, and takes them over as their runs' own."""

    def __init__(self, adapters: Adapters, runs: RunLedger) -> None:
        self._forges = adapters.forges
        self._mirrors = adapters.mirrors
        self._runs = runs
        self._handovers = HandoverLedger(runs)

    def find(self, run: Run, project: Project) -> AgentRequest:
        """Return the pull request that a run's agent opened. Raises ForgeSilent."""
        requests = self._forges.requests_of(project)
        if requests is None:
            raise ForgeSilent("the project is at no forge any more", needs_attention=True)
        began = run.taken_at or run.created_at
        found = requests.opened_on(repository_of(project), run.work_branch, since=began)
        wanted = Wanted(
            account=run.provenance.get(OPENS_AS) or project.pr_login or "",
            base=run.branch_name,
            adopted=self._handovers.adopted_by(run),
            taken=self._handovers.delivered_beside(run),
        )
        return judge_requests(found, wanted)

    def take_over(
        self,
        run: Run,
        project: Project,
        request: OpenedRequest,
        now: datetime,
        *,
        check: Callable[[Repository, str, str], Objection | None],
    ) -> TakenOver:
        """Record a request as the run's, and what a person must know of it; safe to repeat.

        Its commits are at the forge already: an objection of the `check` is only told. Raises
        OriginProblem, CannotRead.
        """
        repo = repository_of(project)
        taken = self._compare(run, repo, request)
        if self._handovers.record_adoption(run, request.number, taken.head, now):
            base = run.base_sha or taken.head
            pushed = _pushed_words(request, partial(check, repo, base, taken.head))
            for told in filter(None, (pushed, _left_words(request, taken))):
                self._runs.append_event_once(run.id, now, "note", told)
        return taken

    def _compare(self, run: Run, repo: Repository, request: OpenedRequest) -> TakenOver:
        """Compare a request's head with the commits that were taken from the run's copy."""
        mirrors = self._mirrors
        mirrors.fetch(repo)
        # an unsandboxed agent may have moved the branch since
        tip = run.head_sha if run.status == Status.DELIVERING else None
        tip = tip or mirrors.tip(repo, run.work_branch)
        head = request.head_sha
        if request.state == "open":
            # what git shows is newer than what the forge says of it
            head = mirrors.origin_tip(repo, run.work_branch) or head
        if tip in (None, head):
            return TakenOver(head)
        try:
            more = mirrors.stat(repo, head, tip).commits
            lacks = mirrors.stat(repo, tip, head).commits
        except CannotRead:
            if request.state == "open":
                raise
            # it was merged with commits that are not ours, and its branch deleted
            return TakenOver(tip)
        is_open = request.state == "open"
        return TakenOver(head, is_behind=is_open and more > 0 and not lacks, left_out=more)


def _pushed_words(request: OpenedRequest, check: Callable[[], Objection | None]) -> str:
    try:
        objection = check()
        because = "" if objection is None else objection.sentence.removeprefix(NOT_PUSHED)
    except Unchecked as problem:
        because = str(problem)
    return because and f"pull request #{request.number} was pushed by its agent: {because}"


def _left_words(request: OpenedRequest, taken: TakenOver) -> str:
    if taken.is_behind or not taken.left_out:
        return ""
    counted = "1 commit is" if taken.left_out == 1 else f"{taken.left_out} commits are"
    return f"{counted} kept here and not in pull request #{request.number}"
