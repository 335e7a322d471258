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

    `measured` is the commit of which the mirror can tell the size. `lacks` counts the run's commits
    that the request is without, None if that is not known, and `adds` those that others made.
    `is_behind`: the run's commits only add to it, and can be pushed.
    """

    head: str
    measured: str
    is_behind: bool = False
    lacks: int | None = 0
    adds: int = 0


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
        lent = self._adapters.sign_ins.lend(project.id, project.pr_sign_in, at, inside)
        checked = project.pr_login or ""
        if checked and lent.login and lent.login.lower() != checked.lower():
            # what another account opens would never count
            raise SignInUnusable(
                f"{lent.login} is signed in there, not {checked}: save pr_sign_in again."
            )
        return lent

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
            account=self._account_of(run, project),
            base=run.branch_name,
            adopted=self._handovers.adopted_by(run),
            taken=self._handovers.delivered_beside(run),
        )
        return judge_requests(found, wanted)

    def has_others(self, run: Run, project: Project) -> bool:
        """Return True if an open request of the branch is not the agents'. Raises ForgeSilent.

        A branch that is deleted closes its requests.
        """
        requests = self._forges.requests_of(project)
        if requests is None:
            return False
        repo, began = repository_of(project), run.taken_at or run.created_at
        found = requests.opened_on(repo, run.work_branch, since=began)
        account = self._account_of(run, project)
        return any(one.state == "open" and one.author.lower() != account for one in found)

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
        is_own = not taken.adds
        if self._handovers.record_adoption(run, request.number, taken.head, now, is_own=is_own):
            base = run.base_sha or taken.measured
            pushed = _pushed_words(request, partial(check, repo, base, taken.measured))
            for told in filter(None, (pushed, _left_words(request, taken))):
                self._runs.append_event_once(run.id, now, "note", told)
        return taken

    def _account_of(self, run: Run, project: Project) -> str:
        return (run.provenance.get(OPENS_AS) or project.pr_login or "").lower()

    def _compare(self, run: Run, repo: Repository, request: OpenedRequest) -> TakenOver:
        """Compare a request's head with the commits that were taken from the run's copy."""
        mirrors, is_open = self._mirrors, request.state == "open"
        mirrors.fetch(repo)
        # an unsandboxed agent may have moved the branch since
        tip = run.head_sha if run.status == Status.DELIVERING else None
        tip = tip or mirrors.tip(repo, run.work_branch)
        head = request.head_sha
        if is_open:
            # what git shows is newer than what the forge says of it
            head = mirrors.origin_tip(repo, run.work_branch) or head
        if tip in (None, head):
            return TakenOver(head, head)
        try:
            lacks = mirrors.stat(repo, head, tip).commits
            adds = mirrors.stat(repo, tip, head).commits
        except CannotRead:
            if is_open:
                raise
            # merged with somebody's commits, its branch deleted: the mirror never saw them
            return TakenOver(head, tip, lacks=None, adds=1)
        is_behind = is_open and lacks > 0 and not adds
        return TakenOver(head, head, is_behind=is_behind, lacks=lacks, adds=adds)


def _pushed_words(request: OpenedRequest, check: Callable[[], Objection | None]) -> str:
    try:
        objection = check()
        because = "" if objection is None else objection.sentence.removeprefix(NOT_PUSHED)
    except Unchecked as problem:
        because = str(problem)
    return because and f"pull request #{request.number} was pushed by its agent: {because}"


def _left_words(request: OpenedRequest, taken: TakenOver) -> str:
    if taken.lacks is None:
        return f"kept here: its commits could not be compared with pull request #{request.number}"
    if taken.is_behind or not taken.lacks:
        return ""
    counted = "1 commit is" if taken.lacks == 1 else f"{taken.lacks} commits are"
    return f"{counted} kept here and not in pull request #{request.number}"
