"""Retries in any order with ends, stops, restarts and silence: work is always in one place."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from app.errors import Refusal
from app.services.kept.retry import RetryOptions
from tests.drivers.state_machines import tell
from tests.services.lifecycle.test_interleavings import WHICH, Interleavings

INTERLEAVINGS, INTERLEAVINGS_OF_THE_SOAK = 10, 300
SOURCES = st.sampled_from([None, "parked", "fresh"])


class Retries(Interleavings):
    """The same people, agents and sweep, plus retries."""

    @initialize()
    def count_work(self) -> None:
        self.files = 0
        self.commits: set[str] = set()

    @rule(which=WHICH, source=SOURCES)
    def retry(self, which: int, source: str | None) -> None:
        if (run_id := self._id(which)) is None:
            return
        now = self.plane.clock.advance(1)
        wishes = RetryOptions(source=source)  # type: ignore[arg-type]
        try:
            run = self.plane.services.retry.retry(run_id, wishes, self.plane.requester(), now).run
        except Refusal:
            return
        assert (run.retry_of, self._run(run_id).retried_by) == (run_id, run.id)
        self.plane.rest()
        self.ids.insert(0, run.id)

    @rule(source=SOURCES, is_stuck=st.booleans(), leaves=st.booleans(), is_plain=st.booleans())
    def fail_and_try_again(
        self, source: str | None, is_stuck: bool, leaves: bool, is_plain: bool
    ) -> None:
        self.fall_silent(False)
        if not self.ids or not self.is_working(self.ids[0]):
            self.start_plain() if is_plain else self.start_afk()
        if not self.is_working(self.ids[0]):
            return  # no slot is free
        self.resist(0, True)
        self.commit(0)
        if leaves:
            self.leave_a_file(0)
        self.world.end(self.ids[0], 1)
        self.reap(0)
        # no copy can be moved: work taken over arrives only once its old run is over
        self.world.is_stuck = is_stuck
        self.retry(0, source)
        self.world.is_stuck = False

    @rule(which=WHICH)
    def commit(self, which: int) -> None:
        run_id = self._id(which)
        if run_id is not None and self.is_working(run_id):
            self.world.commit(run_id)
            self.commits.add(self.world.copies[run_id].tip)

    @rule(which=WHICH)
    def leave_a_file(self, which: int) -> None:
        run_id = self._id(which)
        if run_id is not None and self.is_working(run_id):
            self.world.leave_file(run_id)
            self.files += 1

    @invariant()
    def nothing_is_lost(self) -> None:
        copies = self.world.copies
        assert sum(copy.uncommitted for copy in copies.values()) == self.files
        tips = [copy.tip for copy in copies.values()]
        tips += self.world.mirrors[self.project.id].values()
        reached = {sha for tip in tips for sha in self.world.ancestry(tip)}
        assert self.commits <= reached

    def settle(self) -> None:
        super().settle()
        self._see_every_piece_listed()

    def _see_every_piece_listed(self) -> None:
        """Check that parked runs own all kept copies, and parked or delivered runs all branches."""
        heads = self.world.mirrors[self.project.id]
        for run in self._runs():
            assert run.released_at is not None
            assert run.parked or run.id not in self.world.copies, (run.status, run.because)
        parked = {run.work_branch for run in self._runs() if run.parked}
        delivered = {run.work_branch for run in self._runs() if run.delivery}
        assert set(heads) <= parked | delivered


def test_no_work_is_lost_however_retries_meet_the_rest() -> None:
    tell(Retries, INTERLEAVINGS)


@pytest.mark.soak
def test_no_work_is_lost_in_300_interleavings() -> None:
    tell(Retries, INTERLEAVINGS_OF_THE_SOAK)
