"""Rollback of a launch: every step is tried, failures are retried later, no work is deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from app.domain.end_causes import ExitReason
from app.records.tables import Project, Run
from app.services.context import Adapters, repository_of
from app.services.lifecycle.change_heads import is_as_prepared
from app.services.lifecycle.handover import Handover
from app.services.lifecycle.steps import UNPROVED
from app.services.ports import Observation

log = structlog.get_logger()
_T = TypeVar("_T")


@dataclass
class LaunchSteps:
    """The launch steps taken so far; by default any may have been taken."""

    claim: bool = True
    copy: bool = True
    process: bool = True


@dataclass(frozen=True)
class RollbackResult:
    """The result of a rollback: `remains` is still to be removed, `parked` is kept for good."""

    remains: str = ""
    parked: str = ""


class Rollback:
    """Rolls a launch back, in reverse order."""

    def __init__(self, adapters: Adapters, handover: Handover) -> None:
        self._handover = handover
        self._mirrors = adapters.mirrors
        self._copies = adapters.copies
        self._engine = adapters.engine

    def once(
        self, run: Run, project: Project | None, made: LaunchSteps | None = None
    ) -> RollbackResult:
        """Kill the run's processes, then remove its copy and its claim; safe to repeat."""
        made = made or LaunchSteps()
        # a run keeps its branch and copy until its processes are gone
        if made.process and not self._tried("its processes", lambda: self._end(run)):
            return RollbackResult(UNPROVED)
        return self.clear(run, project, made)

    def clear(
        self, run: Run, project: Project | None, made: LaunchSteps | None = None
    ) -> RollbackResult:
        """Remove the copy and the claim of a run whose processes are gone."""
        made = made or LaunchSteps()
        has_work = self._tried("what it took over", lambda: [self._handover.complete(run)])
        if has_work is None:
            return RollbackResult("what it took over is not with it yet; retrying")
        if has_work[0]:
            return RollbackResult(parked=f"{run.work_branch} has the work of the run before it")
        if made.copy:
            parked = self._tried("its working copy", lambda: self._work_in(run, project, made))
            if parked is None:
                return RollbackResult("its working copy could not be read; retrying")
            if parked:
                return RollbackResult(parked=parked)
        removed = not made.copy or self._tried("its working copy", lambda: self._remove(run))
        released = not made.claim or self._tried("its claim", lambda: self._release(run, project))
        left = [
            what
            for what, is_gone in (("working copy", removed), (run.work_branch, released))
            if not is_gone
        ]
        if left:
            return RollbackResult(f"not removed yet: {' and '.join(left)}; retrying")
        if not self._tried("the old branch", lambda: self._bring_back(run, project)):
            return RollbackResult(f"{run.work_branch} has not its old work back yet; retrying")
        return RollbackResult()

    def _end(self, run: Run) -> bool:
        return self._engine.kill(run.id, run.supervisor)

    def _bring_back(self, run: Run, project: Project | None) -> bool:
        if run.retry_of is not None and project is not None:
            self._handover.bring_back(repository_of(project), run)
        return True

    def _work_in(self, run: Run, project: Project | None, made: LaunchSteps) -> str:
        """Return what removing the copy would lose, empty if no agent can have worked in it."""
        if project is None or run.base_sha is None or not self._copies.exists(run.id):
            return ""
        if not made.process or _never_began(self._engine.inspect(run.id, run.supervisor)):
            return ""
        repo = repository_of(project)
        state = self._copies.inspect(repo, run.id, tip=run.base_sha)
        if not state.is_clean and is_as_prepared(self._copies, repo, run):
            return ""
        return "" if state.is_clean else f"{run.work_branch}: the working copy holds {state.holds}"

    def _remove(self, run: Run) -> bool:
        self._copies.remove(run.id)
        return True

    def _release(self, run: Run, project: Project | None) -> bool:
        if project is None or run.base_sha is None or run.pr_number is not None:
            return True  # a change request's branch is not this run's
        repo = repository_of(project)
        if self._mirrors.exists(repo) and not self._handover.is_anothers(run):
            # a branch that points elsewhere was not created by this launch
            self._mirrors.release(repo, run.work_branch, expected_sha=run.base_sha)
        return True

    def _tried(self, what: str, step: Callable[[], _T]) -> _T | None:
        # a failing step does not stop the others; all of them are tried again later
        try:
            return step()
        except Exception as problem:
            log.warning("rollback_step_failed", step=what, because=problem, exc_info=True)
            return None


def _never_began(observation: Observation) -> bool:
    return observation.exit is not None and observation.exit.reason is ExitReason.NOT_SPAWNED
