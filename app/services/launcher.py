"""The one launch path: fetch, claim, prepare, spawn; whatever fails is undone (engine.md §2)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain import prompts
from app.domain.lifecycle import DONE, Signal
from app.domain.words import Cause, Delivers, Depth, Status
from app.records.tables import Project, Run
from app.services.floor import Ledgers, Outside
from app.services.ports import (
    BranchTaken,
    ForgeSilent,
    Job,
    LaunchFailed,
    LaunchOrder,
    OriginProblem,
    ProcessMark,
    Repository,
)
from app.services.prechecks import repository_of
from app.services.run_locks import Locks

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LaunchTerms:
    """What every launch on this server has in common."""

    grace_seconds: float
    launch_seconds: int
    log_cap_bytes: int


class NotLaunched(Exception):
    """A step of the launch failed; the message is a sentence."""


class Launcher:
    """Takes a run from `starting` to `running`, or back to nothing."""

    def __init__(
        self,
        ledgers: Ledgers,
        outside: Outside,
        terms: LaunchTerms,
        locks: Locks,
        clock: Callable[[], datetime],
    ) -> None:
        self._runs = ledgers.runs
        self._projects = ledgers.projects
        self._mirrors = outside.mirrors
        self._copies = outside.copies
        self._engine = outside.engine
        self._agents = outside.agents
        self._forge_of = outside.forge_of
        self._terms = terms
        self._locks = locks
        self._clock = clock
        self._promised: set[str] = set()

    def promise(self, run_id: str) -> None:
        """Say that this run's launch is coming, so that nobody takes it for an abandoned one."""
        self._promised.add(run_id)

    def take_back(self, run_id: str) -> None:
        """Say that no launch of this run is coming any more."""
        self._promised.discard(run_id)

    def has_promised(self, run_id: str) -> bool:
        """True until the launch of this run is over."""
        return run_id in self._promised

    def launch_once(self, run_id: str) -> bool:
        """Launch a run that has been taken from the queue; False where it came to nothing."""
        with self._locks.holding(run_id):
            try:
                return self._launch_held(run_id)
            finally:
                self.take_back(run_id)

    def _launch_held(self, run_id: str) -> bool:
        run = self._runs.find(run_id)
        project = self._projects.find(run.project_id) if run else None
        if run is None or project is None or run.status != Status.STARTING:
            return False
        with ExitStack() as undo:
            try:
                mark = self._launch(run, project, undo)
            except (NotLaunched, OriginProblem, LaunchFailed) as failure:
                undo.close()
                self._give_up(run, str(failure))
                return False
            except Exception:
                undo.close()
                self._give_up(run, "something went wrong in Runyard; the log has the details")
                raise
            if not self._has_begun(run, mark):
                latest = self._runs.find(run.id)
                if latest is not None and latest.status not in DONE:
                    undo.pop_all()  # another server has taken it over and keeps it going
                return False
            undo.pop_all()
        self._engine.watch(run.id)
        return True

    def undo(self, run: Run) -> None:
        """Undo the launch of a run whose agent never started, as far as it came."""
        project = self._projects.find(run.project_id)
        self._engine.kill(run.id)
        self._copies.remove(run.id)
        if project is not None and run.base_sha is not None:
            repo = repository_of(project)
            self._mirrors.release(repo, run.work_branch, expected_sha=run.base_sha)

    def _launch(self, run: Run, project: Project, undo: ExitStack) -> ProcessMark:
        repo = repository_of(project)
        if not self._mirrors.exists(repo):
            # another server's runs folder has it, or somebody deleted it
            self._mirrors.clone(repo, progress=lambda *_: None)
        self._mirrors.fetch(repo)
        base = self._mirrors.origin_tip(repo, run.branch_name)
        if base is None:
            raise NotLaunched(f"origin has no branch {run.branch_name} any more")
        # the commit is noted first: a crash after the claim must know what to release
        self._runs.note(run.id, run.project_id, base_sha=base)
        self._claim(repo, run.work_branch, base)
        undo.callback(self._mirrors.release, repo, run.work_branch, expected_sha=base)
        origin = f"branch {run.work_branch} from {run.branch_name}@{base[:7]}"
        self._tell(run, "claimed", origin, branch=run.work_branch, base_sha=base)
        self._copies.prepare(repo, run.id, branch=run.work_branch, sha=base)
        undo.callback(self._copies.remove, run.id)
        included = self._copies.include(repo, run.id)
        extra = f" · {included} files of .runyardinclude" if included else ""
        self._tell(run, "prepared", f"working copy of {project.name}{extra}")
        undo.callback(self._engine.kill, run.id)
        order = self._order(run, project, base)
        latest = self._runs.find(run.id)
        if latest is None or latest.status != Status.STARTING:
            raise NotLaunched("it was stopped before its agent was started")
        return self._engine.launch(order)

    def _claim(self, repo: Repository, branch: str, base: str) -> None:
        try:
            self._mirrors.claim(repo, branch, base)
        except BranchTaken as taken:
            raise NotLaunched(f"the branch {branch} exists already") from taken

    def _order(self, run: Run, project: Project, base: str) -> LaunchOrder:
        prompt = prompts.compose(self._brief(run, project), project.prompt)
        path = self._copies.path(run.id)
        job = Job(
            prompt=prompt,
            prompt_file=self._engine.prompt_file(run.id),
            workdir=path,
            branch=run.work_branch,
            issue=run.issue,
            model=run.model,
        )
        return LaunchOrder(
            run_id=run.id,
            argv=self._agents.command(run.agent, job, project.agent_command),
            setup=project.setup_command or (),
            launch_seconds=self._terms.launch_seconds,
            workdir=path,
            env=self._agents.environment(run.agent),
            budget_seconds=run.budget_seconds,
            grace_seconds=self._terms.grace_seconds,
            log_cap_bytes=self._terms.log_cap_bytes,
            prompt=prompt,
            facts={
                "PROJECT": project.name,
                "ISSUE": "" if run.issue is None else str(run.issue),
                "BRANCH": run.work_branch,
                "BASE": base,
                "DEPTH": run.depth_level,
                "FRAMEWORK": run.target_framework,
            },
        )

    def _brief(self, run: Run, project: Project) -> prompts.Brief:
        issue = None
        if run.issue is not None:
            try:
                issue = self._forge_of(project).issue(repository_of(project), run.issue)
            except ForgeSilent as silence:
                raise NotLaunched("the tracker did not answer") from silence
            if issue is None:
                raise NotLaunched(f"issue #{run.issue} is gone")
        return prompts.Brief(
            branch=run.work_branch,
            depth=Depth(run.depth_level),
            framework=run.target_framework,
            delivers=Delivers(run.delivers),
            task=run.task,
            issue=run.issue,
            issue_title=issue.title if issue else "",
            issue_body=issue.body if issue else "",
        )

    def _has_begun(self, run: Run, mark: ProcessMark) -> bool:
        now = self._clock()
        with self._runs.stores.owner_of(run.id).transaction() as tx:
            moved = self._runs.move(
                tx,
                run,
                Signal.AGENT_ALIVE,
                now=now,
                kind="spawned",
                sentence=f"{run.agent} · pid {mark.pid}",
                data={"pid": mark.pid},
                started_at=now,
                deadline=now + timedelta(seconds=run.budget_seconds),
                pid=mark.pid,
                hold=None,
            )
        return moved is not None

    def _give_up(self, run: Run, because: str) -> None:
        now = self._clock()
        with self._runs.stores.owner_of(run.id).transaction() as tx:
            self._runs.move(
                tx,
                run,
                Signal.LAUNCH_FAILED,
                now=now,
                kind="reaped",
                sentence=f"not started: {because}",
                cause=Cause.LAUNCH_FAILED,
                because=because,
                released_at=now,
                hold=None,
            )

    def _tell(self, run: Run, kind: str, sentence: str, **data: object) -> None:
        self._runs.tell_once(run.id, self._clock(), kind, sentence, **data)
