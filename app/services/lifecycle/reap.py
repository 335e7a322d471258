"""The single place where runs end: observe, decide, write once (engine.md §1, §2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any

from app.domain import rules
from app.domain.agents.final_output import Failure, LastWord
from app.domain.agents.liveness import Vitals, is_silent_for
from app.domain.end_causes import ExitReason, ExitRecord
from app.domain.lifecycle import DONE, Signal
from app.domain.rules import Opening, RunFacts, Verdict
from app.domain.tracker.agent_requests import SILENT_SECONDS
from app.domain.words import Cause, Delivers, Status
from app.records.runs.run_columns import RunColumns
from app.records.tables import Project, Run
from app.services.concurrency import SingleFlight
from app.services.context import Context, repository_of
from app.services.lifecycle.agent_openings import AgentOpenings
from app.services.lifecycle.change_heads import why_unresolved
from app.services.lifecycle.checks import Checking, with_checks
from app.services.lifecycle.deliver import Deliveries
from app.services.lifecycle.finalize import Finalizer
from app.services.lifecycle.follow_ups import FollowUps
from app.services.lifecycle.launch import Launcher
from app.services.lifecycle.refused_hosts import Refusals
from app.services.lifecycle.stall_monitor import StallMonitor
from app.services.lifecycle.steps import (
    OVERDUE_SECONDS,
    Kills,
    append_unreadable_records,
    is_tidying,
)
from app.services.lifecycle.transitions import Line, Transitions
from app.services.ports import CannotRead, ForgeSilent, Observation, Repository, Tampered
from app.services.runs.agent_reports import Reporter
from app.services.system.ownership import Ownership
from app.services.tracing import unit_of_work

LONG_TAKE = timedelta(seconds=4)
REST_FACTOR = 4
LONGEST_REST = timedelta(minutes=10)


@dataclass(frozen=True)
class Work:
    """Commits of a run's agent; `tip` or `has_commits` is None if they could not be read.

    `because` says why nothing was taken; with `has_commits=False` it is evidence of tampering.
    """

    tip: str | None
    has_commits: bool | None
    because: str = ""


@dataclass(frozen=True)
class EndSteps:
    """The steps of a run's end: its kill, its checks, its transition, its delivery, its release."""

    kills: Kills
    checking: Checking
    follow_ups: FollowUps
    transitions: Transitions
    deliveries: Deliveries
    finalizer: Finalizer


class Reaper:
    """Checks open runs and ends those that are over."""

    def __init__(
        self,
        context: Context,
        ownership: Ownership,
        launcher: Launcher,
        reporter: Reporter,
        stall_monitor: StallMonitor,
        steps: EndSteps,
    ) -> None:
        ledgers, adapters = context.ledgers, context.adapters
        self._runs = ledgers.runs
        self._projects = ledgers.projects
        self._mirrors = adapters.mirrors
        self._copies = adapters.copies
        self._engine = adapters.engine
        self._agents = adapters.agents
        self._homes = adapters.homes
        self._forge_of = adapters.forge_of
        self._forges = adapters.forges
        self._openings = AgentOpenings(adapters, self._runs)
        self._launcher = launcher
        self._kills = steps.kills
        self._checking = steps.checking
        self._follow_ups = steps.follow_ups
        self._transitions = steps.transitions
        self._deliveries = steps.deliveries
        self._finalizer = steps.finalizer
        self._reporter = reporter
        self._stall_monitor = stall_monitor
        self._ownership = ownership
        self._clock = context.clock
        self._speaking_for = context.speaking_for
        self._refusals = Refusals(ledgers.runs, adapters.engine, context.clock)
        self._rounds = SingleFlight(self._inspect, partial(context.locks.holding, wait=False))
        self._rests: dict[str, datetime] = {}

    def reap_once(self, run_id: str) -> bool:
        """Check one run and act on the result; return False if another duty holds its lock.

        If that duty is another check, it repeats, so this request is not lost.
        """
        return self._rounds.run(run_id)

    def _inspect(self, run_id: str) -> None:
        with self._runs.stores.looking() as session:
            run = self._runs.find_in(session, run_id)
            project = self._projects.find(run.project_id, session) if run else None
        if run is None or project is None or run.released_at is not None:
            return
        with (
            self._speaking_for(run.correlation_id),
            unit_of_work("reap", run_id=run_id, project_id=project.id),
        ):
            self._advance(run, project)

    def _advance(self, run: Run, project: Project) -> None:
        if not self._ownership.may_judge(run, self._clock()):
            return
        if run.status == Status.STARTING:
            run = self._adopt(run)
        if run.status == Status.RUNNING:
            run = self._judge(run, project)
        if run.status == Status.CHECKING:
            run = self._checking.advance(run, project)
            if run.status == Status.RUNNING:
                run = self._follow_ups.begin(run, project)
        if run.status == Status.DELIVERING:
            self._deliveries.begin(run)
        if run.status in DONE:
            self._deliveries.forget(run.id)
            self._rests.pop(run.id, None)
            self._stall_monitor.forget(run.id)
            self._checking.close(run)
            self._reporter.conclude_if_gone(run)
            self._finalizer.settle(run, project)

    # --- starting ------------------------------------------------------------------------------

    def _adopt(self, run: Run) -> Run:
        # the launch path holds this run's lock while it works, and announces launches still to come
        if self._launcher.has_promised(run.id):
            return run
        observation = self._engine.inspect(run.id, run.supervisor)
        if observation.alive is None:
            return run
        was_spawned = (
            observation.exit is None or observation.exit.reason is not ExitReason.NOT_SPAWNED
        )
        if observation.mark is not None and was_spawned:
            began = run.taken_at or self._clock()
            return self._transitions.write(
                run,
                Verdict(Signal.AGENT_ALIVE),
                Line("spawned", f"adopted · pid {observation.mark.pid}"),
                started_at=began,
                deadline=began + timedelta(seconds=run.budget_seconds),
                pid=observation.mark.pid,
            )
        if observation.alive:
            return run
        self._launcher.undo(run, is_untouched=observation.is_untouched)
        return self._runs.find(run.id) or run

    # --- running -------------------------------------------------------------------------------

    def _judge(self, run: Run, project: Project) -> Run:
        observation = self._engine.inspect(run.id, run.supervisor)
        if run.turn > 1 and not self._follow_ups.has_begun(run, observation):
            return self._follow_ups.begin(run, project)
        if observation.has_untrue_records:
            append_unreadable_records(self._runs, run, self._clock())
        if observation.exit is None and observation.alive is not False:
            return self._watch(run, project, observation)
        self._reporter.conclude(run)
        self._refusals.append_once(run.id)
        word = self._last_word(run, observation.exit)
        work = self._import_with_retries(run, project, observation)
        facts = self._facts(run, project, observation, work, word=word)
        verdict = rules.classify(facts)
        if verdict.signal is None:
            self._hold_unjudged(run, project, facts, work)
            return run
        if verdict.cause is Cause.NO_DELIVERY and work.because:
            verdict = replace(verdict, because=f"{verdict.because}: {work.because}")
        columns: RunColumns = {"head_sha": work.tip}
        before = self._lines_before(run, observation.exit, word, work, columns)
        if verdict.signal is Signal.WORK_TO_DELIVER and run.merging is not None:
            verdict = self._if_resolved(run, project, verdict, work)
            if verdict is None:
                return run
        if verdict.signal is Signal.WORK_TO_DELIVER:
            verdict = with_checks(run, project, verdict, columns)
        return self._transitions.write(run, verdict, _line_of(verdict), before, **columns)

    def _hold_unjudged(self, run: Run, project: Project, facts: RunFacts, work: Work) -> None:
        """Say on the run what its judgement waits for."""
        if work.because:
            self._hold(run, f"its work could not be read; retrying: {work.because}")
        elif facts.opening is not None and facts.opening.is_open is False:
            self._hold(run, f"it waits for its pull request: {facts.opening.because}")
            if facts.exit is not None:
                waited = facts.now - facts.exit.at
                self._stall_monitor.expect(run, (rules.GRACE - waited).total_seconds())
        elif facts.delivered is None or facts.opening is not None:
            refused = self._forges.refusals().get(project.forge_id or "")
            self._hold(run, f"it waits for its forge: {refused or 'no answer yet'}")

    def _if_resolved(
        self, run: Run, project: Project, verdict: Verdict, work: Work
    ) -> Verdict | None:
        """Return the verdict of a run that was to resolve conflicts; None if it is unknown."""
        try:
            left = why_unresolved(self._mirrors, repository_of(project), run, work.tip or "")
        except (CannotRead, OSError) as problem:
            self._hold(run, f"its work could not be read; retrying: {problem}")
            return None
        return Verdict(Signal.GONE, Cause.NO_DELIVERY, left) if left else verdict

    def _lines_before(
        self, run: Run, ended: ExitRecord | None, word: LastWord, work: Work, columns: RunColumns
    ) -> list[Line]:
        """Return the timeline's lines about the agent's end; `columns` gets its exit status."""
        before: list[Line] = []
        if ended is not None:
            # if it was killed after its final message, its exit status says nothing about it
            is_told = ended.reason is not ExitReason.STOPPED or not word.is_final
            if is_told:
                columns["exit_code"] = ended.code
                columns["exit_signal"] = ended.signal
            sentence = self._exit_sentence(run, ended) if is_told else "agent was ended"
            before.append(Line("exited", sentence, ended.at))
        if work.because and work.has_commits is False:
            before.append(Line("note", f"not taken over: {work.because}"))
        return before

    def _watch(self, run: Run, project: Project, observation: Observation) -> Run:
        """Judge a run whose agent is alive, or may be."""
        vitals = self._stall_monitor.vitals_of(run) if observation.alive else None
        # keep a renewed token: it is the only valid one
        for sentence in self._homes.keep_in_step(run.project_id, run.agent):
            self._runs.append_event_once(run.id, self._clock(), "note", sentence)
        facts = self._facts(run, project, observation, Work(None, False), vitals=vitals)
        verdict = rules.classify(facts)
        if verdict.signal is not None:
            return self._transitions.write(run, verdict, _line_of(verdict))
        if observation.alive and observation.overrun is not None:
            self._stall_monitor.expect(run, OVERDUE_SECONDS - observation.overrun)
        if verdict.ends_tree:
            self._kills.begin(run, f"{verdict.because}; stopping it")
        elif vitals is not None:
            self._stall_monitor.keep(run, vitals, project.stall_seconds)
        return run

    def _last_word(self, run: Run, ended: ExitRecord | None) -> LastWord:
        word = self._reporter.of(run).last_word
        code = ended.code if ended else None
        if not code or word.failure in (Failure.AUTH, Failure.NETWORK):
            return word
        failure = self._agents.exit_failure(run.agent, code)
        return replace(word, failure=failure) if failure else word

    def _hold(self, run: Run, because: str) -> None:
        if run.hold != because:
            self._runs.update_fields(run.id, run.project_id, hold=because)

    def _facts(
        self, run: Run, project: Project, observation: Observation, work: Work, **known: Any
    ) -> RunFacts:
        is_over = observation.exit is not None or observation.alive is False
        opening = self._opening(run, project, known.get("vitals"), is_over=is_over)
        return RunFacts(
            delivered=False if opening else self._is_delivered(run, project),
            opening=opening,
            exit=observation.exit,
            alive=observation.alive,
            now=self._clock(),
            # while the supervisor lives, its own clock decides: the server's clock may jump
            deadline=None if observation.alive else run.deadline,
            delivers=Delivers(run.delivers),
            has_work=work.has_commits,
            host_restarted=observation.host_restarted,
            is_overdue=bool(observation.alive) and (observation.overrun or 0) >= OVERDUE_SECONDS,
            stall_seconds=project.stall_seconds,
            **known,
        )

    def _opening(
        self, run: Run, project: Project, vitals: Vitals | None, *, is_over: bool
    ) -> Opening | None:
        """Return whether a run's agent has opened its pull request, None if Runyard opens it."""
        if not rules.is_opened_by_agent(run.provenance):
            return None
        if not is_over and not (run.turn == 1 and self._is_idle(vitals)):
            return Opening()
        try:
            found = self._openings.find(run, project)
        except ForgeSilent:
            return Opening(None)
        # one that an earlier run opened says nothing about this agent
        is_done = found.kept is not None and (is_over or found.kept.is_new)
        return Opening(is_done, found.because)

    def _is_idle(self, vitals: Vitals | None) -> bool:
        """Return True for an agent that says nothing, and uses no tool that would explain it."""
        if vitals is None or vitals.tool:
            return False
        return is_silent_for(vitals, SILENT_SECONDS, self._clock())

    def _is_delivered(self, run: Run, project: Project) -> bool | None:
        # a request that it works on was there before it: only its own delivery says that it is done
        if run.delivers == Delivers.REPORT or run.pr_number is not None:
            return False
        began = run.taken_at or run.created_at
        try:
            found = self._forge_of(project).delivery_of(
                repository_of(project), run.id, run.work_branch, since=began
            )
        except ForgeSilent:
            return None
        return found is not None

    def _import_with_retries(self, run: Run, project: Project, observation: Observation) -> Work:
        # slow attempts that fail must not take up all the time of every sweep
        rest = self._rests.get(run.id)
        if rest is not None and self._clock() < rest:
            return Work(None, None)
        began = monotonic()
        work = self._import_work(run, project, observation)
        took = timedelta(seconds=monotonic() - began)
        if work.has_commits is None and took >= LONG_TAKE:
            self._rests[run.id] = self._clock() + min(REST_FACTOR * took, LONGEST_REST)
        else:
            self._rests.pop(run.id, None)
        return work

    def _import_work(self, run: Run, project: Project, observation: Observation) -> Work:
        repo = repository_of(project)
        try:
            tip = self._copies.import_work(repo, run.id, run.work_branch)
            commits = self._mirrors.stat(repo, run.base_sha or tip, tip).commits
        except Tampered as problem:
            since = observation.exit.at if observation.exit else None
            if is_tidying(observation, since, self._clock()):
                return Work(None, None)  # its last processes are being ended and may still write
            # if something of ours is missing too, the copy proves nothing
            return Work(None, False if self._has_claim(repo, run) else None, str(problem))
        except (CannotRead, OSError) as problem:
            return Work(None, None, str(problem))
        return Work(tip, commits > 0)

    def _has_claim(self, repo: Repository, run: Run) -> bool:
        try:
            return self._mirrors.tip(repo, run.work_branch) is not None
        except (CannotRead, OSError):
            return False

    def _exit_sentence(self, run: Run, ended: ExitRecord) -> str:
        if ended.signal is not None:
            return f"agent killed by signal {ended.signal}"
        words = self._agents.exit_words(run.agent, ended.code) if ended.code is not None else ""
        return f"agent exited {ended.code}" + (f": {words}" if words else "")


def _line_of(verdict: Verdict) -> Line:
    kind = "reaped" if verdict.is_final else "progress"
    data = {"evidence": verdict.evidence} if verdict.evidence else {}
    if verdict.signal is Signal.CHECKS_TO_RUN:
        data["status"] = str(Status.CHECKING)
    return Line(kind, verdict.because, data=data)
