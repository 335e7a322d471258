"""Hypothesis state machines over a fake world, and deterministic runs of them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.builders.databases import POSTGRESQL, usual_kind
from tests.fakes.planes import FakePlane
from tests.fakes.world import World


class PlaneMachine(RuleBasedStateMachine):
    """A plane over a fake world of its own, which settles at the end of each story."""

    wishes: ClassVar[dict[str, Any]] = {}

    def open_plane(self) -> None:
        """Begin a story: an empty world, and a plane in an empty folder."""
        self.folder = tempfile.TemporaryDirectory()
        self.world = World()
        self.plane = FakePlane(Path(self.folder.name), self.world, **self.wishes)

    def start_anew(self) -> None:
        """Replace the plane, which has been stopped or killed, by one on the same folder."""
        now = self.plane.clock.now
        self.plane = FakePlane(Path(self.folder.name), self.world, **self.wishes)
        self.plane.clock.now = now
        self.plane.recover_once()

    def settle(self) -> None:
        """Let all runs end, and check what holds then."""
        raise NotImplementedError

    def teardown(self) -> None:
        """End the story, unless its beginning failed."""
        if not hasattr(self, "plane"):
            return
        with self.folder:
            try:
                self.settle()
            finally:
                self.plane.stop()

    def is_working(self, run_id: str) -> bool:
        """Return True if the run's agent is alive."""
        process = self.world.processes.get(run_id)
        return process is not None and process.is_alive


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
