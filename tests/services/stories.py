"""So many stories of a state machine, always the same ones."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.fresh_databases import POSTGRESQL, usual_kind


def tell(machine: type[RuleBasedStateMachine], stories: int, steps: int = 15) -> None:
    """Let a machine take so many steps, that often; its invariants are held after each.

    Each story has a database of its own: on PostgreSQL, where that takes longer, a quarter is told.
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
