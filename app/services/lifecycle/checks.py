"""The checks of a run before its delivery: one step at a time, decided after each round."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from app.domain.end_causes import ExitReason, ExitRecord
from app.domain.lifecycle import Signal
from app.domain.projects.check_rounds import (
    CheckEnd,
    CheckPlan,
    decide,
    end_of,
    read_plan,
)
from app.domain.projects.checks import Check, OnRed, read_checks
from app.domain.rules import OUT_OF_TIME, Verdict
from app.domain.words import Cause, CheckStatus, Delivers, Status
from app.failpoints import failpoint
from app.records.runs.check_ledger import CheckLedger, outcome_of
from app.records.runs.run_columns import RunColumns
from app.records.tables import CheckResult, Project, Run
from app.services.context import Context, repository_of
from app.services.lifecycle.launch_spec import LaunchSpecs, NotLaunched
from app.services.lifecycle.steps import OVERDUE_SECONDS, NotWanted, Steps
from app.services.lifecycle.transitions import Line, Transitions
from app.services.ports import CannotRead, CopyChange, LaunchFailed, NotYet, Observation, Step
from app.services.runs.agent_reports import Reporter

log = structlog.get_logger()
STATUS_OF_END = {Status.STOPPED: CheckStatus.STOPPED, Status.TIMED_OUT: CheckStatus.TIMED_OUT}


def with_checks(run: Run, project: Project, verdict: Verdict, columns: RunColumns) -> Verdict:
    """Return the verdict for a good end with commits: checks first, if the project has some.

    A run keeps the checks of its first round; `columns` gets what its next round begins with.
    """
    stored = run.checks
    if stored is None:
        checks = read_checks(project.checks)
        if not checks or run.delivers != Delivers.CHANGE:
            return verdict
        stored = CheckPlan(checks, project.check_rounds, OnRed(project.on_red)).as_data()
    columns["check_round"], columns["checks"] = run.check_round + 1, stored
    because = f"{verdict.because.removesuffix(' to deliver')} to check"
    return replace(verdict, signal=Signal.CHECKS_TO_RUN, because=because)


@dataclass(frozen=True)
class Round:
    """A round as the tables have it; `results` are in the order of the plan."""

    plan: CheckPlan
    results: list[CheckResult]

    @property
    def running(self) -> CheckResult | None:
        """The check that has begun and not ended, or None."""
        return next((one for one in self.results if one.status == CheckStatus.RUNNING), None)


class Checking:
    """Leads a run through its checks; the caller holds the run's lock."""

    def __init__(
        self,
        context: Context,
        specs: LaunchSpecs,
        steps: Steps,
        ledger: CheckLedger,
        reporter: Reporter,
        transitions: Transitions,
    ) -> None:
        self._runs = context.ledgers.runs
        self._copies = context.adapters.copies
        self._engine = context.adapters.engine
        self._clock = context.clock
        self._specs = specs
        self._steps = steps
        self._ledger = ledger
        self._reporter = reporter
        self._transitions = transitions

    def advance(self, run: Run, project: Project) -> Run:
        """Do what a run that is being checked needs next; return it as it is then."""
        observation = self._engine.inspect(run.id, run.supervisor)
        found = self._round_of(run)
        if found.running is not None:
            verdict = self._look(run, project, found, found.running, observation)
            if verdict is not None:
                return self._move(run, verdict)
            run = self._runs.find(run.id) or run
            found = self._round_of(run)
            if found.running is not None or run.status != Status.CHECKING:
                return run
        elif not self._steps.must_be_gone(run, observation):
            if observation.overrun is None or observation.overrun < OVERDUE_SECONDS:
                self._runs.set_hold(run, "waits for the end of its agent's processes")
            return run
        outcomes, has_time = [outcome_of(one) for one in found.results], self._steps.left(run) > 0
        verdict = decide(found.plan, outcomes, run.check_round, has_time=has_time)
        if _is_out_of_time(run, found) or (verdict is None and not has_time):
            verdict = OUT_OF_TIME
        if found.results and (verdict is None or verdict.signal is Signal.FOLLOW_UP):
            try:
                repo = repository_of(project)
                self._copies.put_back(repo, run.id, is_over=verdict is not None)
            except (CannotRead, OSError) as problem:
                because = f"what its check changed could not be put back; retrying: {problem}"
                self._runs.set_hold(run, because)
                return run
        if verdict is not None:
            return self._move(run, verdict)
        return self._begin(run, project, found)

    def close(self, run: Run) -> None:
        """End the check that a run was in when it ended."""
        if not run.check_round:
            return
        for row in self._ledger.of(run.id):
            if row.status == CheckStatus.RUNNING:
                status = STATUS_OF_END.get(Status(run.status), CheckStatus.ERROR)
                end = CheckEnd(status, run.because or "")
                self._ledger.finish(run, row, end, now=self._clock())

    # --- one check -----------------------------------------------------------------------------

    def _begin(self, run: Run, project: Project, found: Round) -> Run:
        """Write down the next check, then begin it."""
        check, position = found.plan.checks[len(found.results)], len(found.results) + 1
        try:
            sha = found.results[0].sha if found.results else self._prepared(run, project)
        except (CannotRead, OSError) as problem:
            self._runs.set_hold(run, f"its work could not be read; retrying: {problem}")
            return run
        if not self._ledger.begin(run, check, position, sha=sha, now=self._clock()):
            return self._runs.find(run.id) or run
        failpoint("check.begun")
        latest = self._runs.find(run.id) or run
        return self.advance(latest, project) if latest.status == Status.CHECKING else latest

    def _prepared(self, run: Run, project: Project) -> str:
        """Take the agent's commits, keep its copy's state, and return the commit to check.

        Raises CannotRead.
        """
        repo = repository_of(project)
        # a state that is kept here is this round's: the server was killed before its first check
        self._copies.put_back(repo, run.id, is_over=True)
        tip = self._copies.import_work(repo, run.id, run.work_branch)
        self._copies.keep_state(repo, run.id, branch=run.work_branch, tip=tip)
        failpoint("check.state_kept")
        return tip

    def _look(
        self,
        run: Run,
        project: Project,
        found: Round,
        row: CheckResult,
        observation: Observation,
    ) -> Verdict | None:
        """Begin, watch or end the running check; return a verdict if it ends the whole run."""
        check, step = found.plan.checks[row.position - 1], _step_of(run, row)
        if not self._steps.has_begun(run, step, observation):
            if not self._steps.must_be_gone(run, observation):
                return None
            return self._launch(run, project, check, row, step)
        if not self._steps.must_be_gone(run, observation):
            return None
        ended = observation.exit
        if ended is None or ended.reason is ExitReason.STOPPED:
            # a machine that is shut down ends all processes, and some supervisors can record it
            if observation.host_restarted:
                return _lost(observation)
            if self._clock() >= _due(run, row, check):
                # its supervisor did not end it in time, and the server did
                ended = ExitRecord(None, None, ExitReason.DEADLINE, self._clock())
            elif ended is None:
                return _lost(observation)
        seconds = None if _had_less(run, row, check) else check.timeout_seconds
        self._finish(run, project, row, end_of(ended, seconds), observation)
        return None

    def _launch(
        self, run: Run, project: Project, check: Check, row: CheckResult, step: Step
    ) -> Verdict | None:
        left = self._steps.left(run)
        if left <= 0:
            return OUT_OF_TIME
        try:
            seconds = min(float(check.timeout_seconds), left)
            self._steps.launch(run, self._specs.check(run, project, step, check.command, seconds))
        except NotWanted:
            return None
        except (LaunchFailed, NotLaunched) as failure:
            is_full = isinstance(failure, LaunchFailed) and failure.cause is Cause.DISK_FULL
            cause = Cause.DISK_FULL if is_full else None
            end = CheckEnd(CheckStatus.ERROR, str(failure), cause=cause)
            self._ledger.finish(run, row, end, now=self._clock())
        except (CannotRead, NotYet, OSError) as problem:
            log.warning("check_not_begun", run_id=run.id, exc_info=True)
            because = f"check “{check.name}” could not be begun; retrying: {problem}"
            self._runs.set_hold(run, because)
        return None

    def _finish(
        self, run: Run, project: Project, row: CheckResult, end: CheckEnd, seen: Observation
    ) -> None:
        """Write down the end of a check, its part of the log, and the files that it changed."""
        try:
            change = self._copies.changes_since(repository_of(project), run.id)
        except (CannotRead, OSError) as problem:
            log.warning("copy_not_read_after_check", run_id=run.id, because=problem)
            change = CopyChange()
        self._ledger.finish(
            run,
            row,
            end,
            now=self._clock(),
            log=(seen.log_from, self._engine.log(run.id).size),
            changed_files=change.files,
            has_moved=change.is_branch_moved,
        )
        failpoint("check.ended")

    # --- the round -----------------------------------------------------------------------------

    def _round_of(self, run: Run) -> Round:
        results = [one for one in self._ledger.of(run.id) if one.round == run.check_round]
        return Round(read_plan(run.checks or {}), results)

    def _move(self, run: Run, verdict: Verdict) -> Run:
        """Write what a round decided."""
        latest = self._runs.find(run.id) or run
        if latest.status != Status.CHECKING or latest.check_round != run.check_round:
            return latest
        columns: RunColumns = {}
        line = Line("reaped" if verdict.is_final else "progress", verdict.because)
        if verdict.signal is Signal.FOLLOW_UP:
            columns = self._next_turn(latest)
            line = Line("followed_up", verdict.because, data={"turn": latest.turn + 1})
        failpoint("check.decided")
        moved = self._transitions.write(latest, verdict, line, **columns)
        if verdict.is_final:
            self.close(moved)
        if verdict.signal is Signal.FOLLOW_UP and moved.turn > latest.turn:
            self._reporter.begin_turn(moved)
        return moved

    def _next_turn(self, run: Run) -> RunColumns:
        """Return the columns with which the agent's next turn begins."""
        report = self._reporter.of(run)
        session = report.session_id or run.session_id
        can_resume = bool(session) and bool(
            self._reporter.continue_command(run, replace(report, session_id=session))
        )
        told = {
            "from": self._engine.log(run.id).size,
            "at": self._clock().isoformat(),
            "report": report.as_data(),
        }
        return {
            "turn": run.turn + 1,
            "session_id": session if can_resume else None,
            "checks": {**(run.checks or {}), "turn": told},
        }


def _due(run: Run, row: CheckResult, check: Check) -> datetime:
    """Return when a check is to end at the latest."""
    due = row.started_at + timedelta(seconds=check.timeout_seconds)
    return due if run.deadline is None else min(due, run.deadline)


def _had_less(run: Run, row: CheckResult, check: Check) -> bool:
    """Return True if the run's deadline left less time than the check's own timeout."""
    return _due(run, row, check) == run.deadline


def _is_out_of_time(run: Run, found: Round) -> bool:
    """Return True if the run's deadline ended a check of the round."""
    return any(
        row.status == CheckStatus.TIMED_OUT and _had_less(run, row, check)
        for row, check in zip(found.results, found.plan.checks, strict=False)
    )


def _step_of(run: Run, row: CheckResult) -> Step:
    label = f"check “{row.name}”, round {row.round}"
    return Step(run.turn, row.position, label)


def _lost(observation: Observation) -> Verdict:
    """Return the end of a run whose check ended without a record."""
    if observation.host_restarted:
        because = "the machine was restarted"
        return Verdict(Signal.CHECKS_BROKEN, Cause.HOST_RESTARTED, because)
    because = "the processes of its check are gone and left no exit record"
    return Verdict(Signal.CHECKS_BROKEN, Cause.SESSION_GONE, because)
