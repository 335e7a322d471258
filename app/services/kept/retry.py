"""Retry: an ended run is repeated as a new run, on its kept work or from the base branch."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from typing import Literal

from sqlmodel import Session

from app.domain.agents import templates
from app.domain.ids import shorten
from app.domain.lifecycle import DONE
from app.domain.review.sent import read_rows
from app.domain.words import Delivers, Depth, Trigger
from app.errors import (
    ForgeUnavailable,
    Invalid,
    IssueClosed,
    NotFound,
    Parked,
    ProjectBroken,
    StillLive,
)
from app.failpoints import failpoint
from app.records.projects.project_reading import ProjectUnreadable
from app.records.runs import run_ledger
from app.records.runs.handover_ledger import HandoverLedger
from app.records.runs.parked_ledger import ParkedLedger
from app.records.stores.sessions import control_of
from app.records.tables import IssueRow, Project, Run
from app.services.concurrency import Locks
from app.services.context import Adapters, Ledgers, repository_of
from app.services.lifecycle.handover import is_aside
from app.services.ports import CannotRead, OriginProblem, RemoteBranch
from app.services.runs.accept import AcceptService, work_branch_of
from app.services.runs.open_runs import already_running, being_released, locked_by
from app.services.runs.prechecks import ASK_AGAIN_SECONDS, Prechecks, setting_of
from app.services.runs.requests import (
    TEMPLATE,
    Accepted,
    Also,
    Requester,
    RetryOf,
    RunRequest,
    Still,
)

Source = Literal["parked", "fresh"]


@dataclass(frozen=True)
class RetryOptions:
    """Changes that a retry makes to the original order; None keeps the original value."""

    agent: str | None = None
    model: str | None = None
    source: Source | None = None
    task: str | None = None
    template: str | None = None
    branch: str | None = None
    # allowed even while another retry of the run is open
    beside: bool = False


class Repeats(Enum):
    """Limit on repeats of a run: one ever, one at a time, or any number."""

    ONCE = auto()
    ONE = auto()
    BESIDE = auto()


@dataclass(frozen=True)
class ContinuedWork:
    """Additions of a resume to a retry; `also` is written in the accepting transaction."""

    session_id: str | None
    resumes: int
    also: Also


class AlreadyRepeated(Exception):
    """Raised if another run, `run_id`, repeats this one."""

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id


class RetryService:
    """Orders repeats of ended runs; they are accepted like any other run."""

    def __init__(
        self,
        ledgers: Ledgers,
        adapters: Adapters,
        prechecks: Prechecks,
        accept: AcceptService,
        locks: Locks,
    ) -> None:
        self._runs = ledgers.runs
        self._projects = ledgers.projects
        self._parked = ParkedLedger(ledgers.runs)
        self._handovers = HandoverLedger(ledgers.runs)
        self._mirrors = adapters.mirrors
        self._prechecks = prechecks
        self._accept = accept
        self._locks = locks

    def retry(
        self, run_id: str, options: RetryOptions, requester: Requester, now: datetime
    ) -> Accepted:
        """Accept a run that repeats this one, or return the one its key created.

        Raises NotFound, StillLive, BeingReleased, AlreadyRunning, InReview, Parked and any refusal
        of a new run; nothing is written then.
        """
        requester = replace(requester, trigger=Trigger.RETRY)
        return self._repeat(run_id, options, ("retry",), requester, now)

    def retry_once(self, run_id: str, requester: Requester, now: datetime) -> Accepted:
        """Retry a run that nothing has repeated yet. Raises as `retry`, and AlreadyRepeated."""
        requester = replace(requester, trigger=Trigger.RETRY)
        return self._repeat(run_id, RetryOptions(), ("retry",), requester, now, rule=Repeats.ONCE)

    def resume(
        self, run_id: str, continued: ContinuedWork, requester: Requester, now: datetime
    ) -> Accepted:
        """Accept the resume of a run that a usage limit ended; it is charged to no quota."""
        requester = replace(requester, trigger=Trigger.RESUME, is_charged=False)
        return self._repeat(run_id, RetryOptions(), ("resume",), requester, now, continued)

    def _repeat(
        self,
        run_id: str,
        options: RetryOptions,
        asked: tuple[str],
        requester: Requester,
        now: datetime,
        continued: ContinuedWork | None = None,
        *,
        rule: Repeats | None = None,
    ) -> Accepted:
        rule = rule or (Repeats.BESIDE if options.beside else Repeats.ONE)
        first = self._find(run_id)
        order = _same_again(first, options, asked)
        replayed = self._accept.replay(order, requester, now)
        if replayed is not None:
            return replayed
        project = self._project_of(first)
        if order.template is None:
            order = replace(order, template=_template_of(first, options, project))
        if wrong := self._prechecks.wrong(project, agent=order.agent):
            raise Invalid.fields(wrong)
        with self._alone_with(first, project):
            # concurrent deliveries and discards of its work are done by now, or wait for this lock
            first = self._find(run_id)
            _refuse_live(first)
            still = _is_still_so(first, rule)
            with self._runs.stores.looking() as session:
                _refuse_repeated(session, project, first, rule)
            again = self._again(first, project, options)
            branch = again.branch or _shared_branch(project, first)
            if branch is not None and first.pr_number is None:
                # delivered work that awaits a decision is neither continued nor done again
                self._prechecks.refuse_in_review(project, branch)
            theirs = branch if first.pr_number is None else None
            self._refuse_gone(project, order.branch or "", theirs, again)
            also = continued.also if continued else None
            order = replace(order, again=_continued_work(again, continued))
            failpoint("claim.after_select")
            return self._accept.accept(order, requester, now, still=still, also=also)

    def _find(self, run_id: str) -> Run:
        run = self._runs.find(run_id)
        if run is None:
            raise NotFound
        return run

    def _project_of(self, first: Run) -> Project:
        try:
            return self._prechecks.project(first.project_id)
        except (NotFound, ProjectUnreadable) as problem:
            sentence = "This run cannot be retried: its project cannot be read."
            raise ProjectBroken(sentence) from problem

    @contextmanager
    def _alone_with(self, first: Run, project: Project) -> Generator[None]:
        branches = {first.work_branch, _shared_branch(project, first) or first.work_branch}
        with ExitStack() as stack:
            for branch in sorted(branches):
                stack.enter_context(self._locks.holding(f"branch {project.id} {branch}"))
            yield

    def _again(self, first: Run, project: Project, options: RetryOptions) -> RetryOf:
        kept = self._parked.of_branch(project.id, first.work_branch)
        if first.pr_number is not None:
            # what the change request shows already is not continued, but added to
            kept = [run for run in kept if run.delivery is None]
        moves = options.branch not in (None, first.branch_name)
        source = options.source
        if source is None:
            source = "parked" if kept and not is_aside(first) and not moves else "fresh"
        if source == "fresh":
            return RetryOf(first.id, beside=options.beside)
        if moves:
            sentence = f"The kept work began on {first.branch_name}. Retry with a fresh start."
            raise Invalid.field("branch", sentence)
        if not kept:
            raise Invalid.field("from", self._without(first))
        if is_aside(first):
            raise Parked(
                "Its work was set aside for a retry: deliver or discard it.",
                branch=first.work_branch,
            )
        if not self._is_claimed(project, first.work_branch):
            raise Parked(
                f"The branch {first.work_branch} is gone. Retry with a fresh start, or discard its"
                " remains.",
                branch=first.work_branch,
            )
        base = next((run.base_sha for run in reversed(kept) if run.base_sha), first.base_sha)
        return RetryOf(first.id, first.work_branch, base, beside=options.beside)

    def _without(self, first: Run) -> str:
        """Return why nothing of a run is left to continue."""
        holder = self._parked.open_run(first.project_id, first.work_branch)
        if holder is None or holder.id == first.id:
            return "No work of this run is kept. Retry it with `from: fresh`."
        return f"Run {shorten(holder.id)} continues its work. Retry with a fresh start."

    def _is_claimed(self, project: Project, branch: str) -> bool:
        repo = repository_of(project)
        try:
            return self._mirrors.exists(repo) and self._mirrors.tip(repo, branch) is not None
        except (CannotRead, OSError) as problem:
            raise ProjectBroken(f"The mirror could not be read: {problem}") from problem

    def _refuse_gone(self, project: Project, base: str, branch: str | None, again: RetryOf) -> None:
        """Refuse if origin's base branch is gone, or the work branch there holds foreign work."""
        try:
            seconds = ASK_AGAIN_SECONDS
            remote = self._mirrors.inspect_origin(project.origin, timeout_seconds=seconds)
        except OriginProblem as problem:
            if problem.for_good:
                raise ForgeUnavailable(problem.sentence) from problem
            return  # as for any run: the launch asks again and reports the answer
        found = remote.branches
        names = [one.name for one in found]
        if names != project.known_branches:
            self._projects.change(project.id, known_branches=names)
        if base not in names:
            sentence = f"The repository no longer has a branch {base}."
            raise Invalid.field("branch", sentence)
        there = next((one for one in found if one.name == branch), None)
        if there is not None and not self._is_ours(
            project, there, continues=again.branch is not None
        ):
            raise Parked(
                f"Origin has a branch {branch} that is not from here. Merge or delete it there"
                " first.",
                branch=branch,
            )

    def _is_ours(self, project: Project, there: RemoteBranch, *, continues: bool) -> bool:
        """Return True if pushing later work to this branch of origin overwrites nothing foreign."""
        heads = self._handovers.heads(project.id, there.name)
        if not continues:
            return there.sha in heads.pushed  # deleted when the old work is set aside
        if there.sha in heads.made or not heads.made:
            return bool(heads.made)
        repo = repository_of(project)
        try:
            tip = self._mirrors.tip(repo, there.name)
            return tip is not None and self._mirrors.stat(repo, tip, there.sha).commits == 0
        except (CannotRead, OSError):
            return False  # unknown to the mirror, so not made here


def _continued_work(again: RetryOf, continued: ContinuedWork | None) -> RetryOf:
    if continued is None:
        return again
    # a session depends on its copy: without one, a new session begins
    session_id = continued.session_id if again.branch else None
    return replace(again, session_id=session_id, resumes=continued.resumes, is_resume=True)


def _same_again(first: Run, options: RetryOptions, asked: tuple[str]) -> RunRequest:
    words = (*asked, first.id, options.agent, options.model, options.source)
    also = {"task": options.task, "branch": options.branch, "again": options.beside}
    also |= {"template": options.template}
    words += tuple((name, wish) for name, wish in also.items() if wish)
    return RunRequest(
        project_id=first.project_id,
        depth=Depth(first.depth_level),
        framework=first.target_framework,
        branch=options.branch or first.branch_name,
        issue=first.issue,
        pr_number=first.pr_number,
        review=read_rows(first.review),
        merging=first.merging,
        task=options.task or first.task,
        template=options.template,
        agent=options.agent or first.agent,
        model=options.model or first.model,
        delivers=Delivers(first.delivers),
        tags=tuple(first.tags),
        asked_as=repr(words),
        again=RetryOf(first.id),
    )


def _template_of(first: Run, options: RetryOptions, project: Project) -> str | None:
    """Return the template of the first run, in the same version; None to choose again."""
    label = first.provenance.get(TEMPLATE)
    found = templates.read_label(label) if label else None
    had_none = first.issue is None and not (first.task or "").strip()
    if found is None or (had_none and options.task):
        return None
    # the setting has one text at a time, and may be empty by now
    is_gone = found[0] == templates.SETTING_NAME and setting_of(project) is None
    return None if is_gone else label


def _shared_branch(project: Project, first: Run) -> str | None:
    """Return the issue's branch, shared by all its runs; None for a plain run."""
    return None if first.issue is None else work_branch_of(project, first.issue, first.id)


def _refuse_live(first: Run) -> None:
    if first.status not in DONE:
        raise StillLive("This run is still in progress. Stop it first.")
    if first.released_at is None:
        sentence = "This run's processes are still being ended. Retry it in a moment."
        raise being_released(first, sentence)


def _refuse_repeated(session: Session, project: Project, first: Run, rule: Repeats) -> None:
    if rule is Repeats.ONCE and first.retried_by is not None:
        raise AlreadyRepeated(first.retried_by)
    if rule is not Repeats.ONE or first.retried_by is None:
        return
    successor = run_ledger.find_open_retry(session, first)
    if successor is not None and successor.status in DONE:
        raise being_released(successor)
    if successor is not None:
        what = f"Run {shorten(first.id)} is being retried already"
        raise already_running(successor, project.name, what)


def _is_still_so(first: Run, rule: Repeats) -> Still:
    def still(session: Session, project: Project) -> None:
        # a run and its repeats share a store; the row lock decides between two servers
        latest = session.get(Run, first.id, with_for_update=True)
        _refuse_repeated(session, project, latest or first, rule)
        if first.issue is None:
            return
        row = control_of(session).get(IssueRow, (project.id, first.issue))
        if row is not None and row.state != "open":
            raise IssueClosed(f"Issue #{first.issue} is closed.")
        for other in run_ledger.find_open(session, project.id):
            if other.issue == first.issue:
                raise locked_by(other)

    return still
