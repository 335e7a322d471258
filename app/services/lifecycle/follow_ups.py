"""Follow-ups inside a run: a further turn of the agent, with what its checks said."""

from __future__ import annotations

from dataclasses import replace

import structlog

from app.domain.agents.follow_ups import follow_up
from app.domain.lifecycle import Signal
from app.domain.projects.check_rounds import read_plan, red_to_the_end
from app.domain.rules import Verdict
from app.domain.words import Cause
from app.records.runs.check_ledger import CheckLedger, outcome_of
from app.records.tables import Project, Run
from app.services.context import Context
from app.services.lifecycle.launch_spec import LaunchSpecs, NotLaunched
from app.services.lifecycle.steps import NotWanted, Steps
from app.services.lifecycle.transitions import Line, Transitions
from app.services.ports import CannotRead, LaunchFailed, NotYet, Observation, PromptTooLong, Step
from app.services.runs.red_checks import RedChecks

log = structlog.get_logger()


class FollowUps:
    """Begins the further turns of agents; the caller holds the run's lock."""

    def __init__(
        self,
        context: Context,
        specs: LaunchSpecs,
        steps: Steps,
        ledger: CheckLedger,
        red_checks: RedChecks,
        transitions: Transitions,
    ) -> None:
        self._runs = context.ledgers.runs
        self._engine = context.adapters.engine
        self._clock = context.clock
        self._specs = specs
        self._steps = steps
        self._ledger = ledger
        self._red_checks = red_checks
        self._transitions = transitions

    def has_begun(self, run: Run, observation: Observation) -> bool:
        """Return True if the further turn that the run is in has begun."""
        return self._steps.has_begun(run, Step(run.turn), observation)

    def begin(self, run: Run, project: Project) -> Run:
        """Begin the agent's next turn; return the run as it is then."""
        observation = self._engine.inspect(run.id, run.supervisor)
        if not self._steps.must_be_gone(run, observation):
            return run
        left = self._steps.left(run)
        if left <= 0:
            return self._give_up(run)
        step = Step(run.turn, None, f"turn {run.turn}")
        try:
            words = follow_up(self._red_checks.of(run))
            self._steps.launch(run, self._specs.turn(run, project, step, words, left))
        except NotWanted:
            return self._runs.find(run.id) or run
        except (LaunchFailed, NotLaunched, PromptTooLong) as failure:
            cause = getattr(failure, "cause", None) or Cause.AGENT_MISSING
            because = f"the agent's follow-up could not be started: {failure}"
            verdict = Verdict(Signal.GONE, cause, because)
            return self._transitions.write(run, verdict, Line("reaped", because))
        except (CannotRead, NotYet, OSError) as problem:
            log.warning("follow_up_not_begun", run_id=run.id, exc_info=True)
            self._runs.set_hold(run, f"its follow-up could not be begun; retrying: {problem}")
            return run
        self._runs.append_event_once(
            run.id, self._clock(), "spawned", f"{run.agent} · turn {run.turn}", turn=run.turn
        )
        return self._runs.find(run.id) or run

    def _give_up(self, run: Run) -> Run:
        """End a run whose time was used up before its follow-up began, as `on_red` says."""
        outcomes = [outcome_of(one) for one in self._ledger.last_round(run.id)]
        verdict = red_to_the_end(read_plan(run.checks or {}), outcomes, is_cut_short=True)
        if verdict.is_final:
            ended = replace(verdict, signal=Signal.GONE)
            return self._transitions.write(run, ended, Line("reaped", verdict.because))
        ended = replace(verdict, signal=Signal.WORK_TO_DELIVER)
        return self._transitions.write(run, ended, Line("progress", verdict.because))
