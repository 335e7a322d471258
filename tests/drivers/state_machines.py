"""Deterministic runs of a Hypothesis state machine."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.builders.databases import POSTGRESQL, usual_kind


def tell(machine: type[RuleBasedStateMachine], stories: int, steps: int = 15) -> None:
    """Run `stories` examples of `steps` steps each, checking invariants after every step.

    Each example has a fresh database; on PostgreSQL, where that is slow, a quarter is run.
    """
    if usual_kind() == POSTGRESQL:
        stories = max(1, stories // 4)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=stories,
            stateful_step_count=steps,
            derandomize=True,
            phases=[Phase.generate],
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
