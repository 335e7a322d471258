"""F12, F13: each run ends once, however reap, Stop, Reset, exit, timeout and delivery meet.

A model tracks strikes, claims and processes that may live. Runyard's own code is real;
processes, git and working copies are the fakes of tests/fakes/world.py.
"""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from app.domain.end_causes import ExitReason
from app.domain.lifecycle import DONE
from app.domain.words import Depth
from app.errors import AlreadyEnded, ForgeUnavailable
from app.records.people.audit_ledger import Deed
from app.records.tables import Project, Run
from app.services.runs.requests import RunRequest
from tests.builders.rows import runs_of
from tests.drivers.state_machines import PlaneMachine, tell

INTERLEAVINGS, INTERLEAVINGS_OF_THE_SOAK = 12, 300
ENDED = {"succeeded", "died", "timed_out", "stopped", "not_started"}
WHICH = st.integers(0, 3)  # counted from the newest run
STRIKING = {"no_delivery", "exit_code", "signal", "budget"}


class Interleavings(PlaneMachine):
    """Actions of people, agents and the sweep, in any order."""

    @initialize()
    def begin(self) -> None:
        self.open_plane()
        self.project = self.plane.add_project(self.world)
        self.ids: list[str] = []
        self.ended: dict[str, str] = {}
        self.committed: set[str] = set()
        self.strikes = 0

    # --- people --------------------------------------------------------------------------------

    @rule()
    def start_afk(self) -> None:
        now = self.plane.clock.advance(1)
        services, project = self.plane.services, self.project.id
        number = self.plane.add_issue(self.project)
        try:
            run = services.afk.start(project, number, self.plane.requester(), now).run
        except ForgeUnavailable:
            assert self.world.is_silent
            return
        self.plane.rest()
        self.ids.insert(0, run.id)

    @rule()
    def start_plain(self) -> None:
        now = self.plane.clock.advance(1)
        order = RunRequest(self.project.id, Depth.QUICK, "auto", task=f"at {now}")
        run = self.plane.services.accept.accept(order, self.plane.requester(), now).run
        self.plane.rest()
        self.ids.insert(0, run.id)

    @rule(which=WHICH)
    def stop(self, which: int) -> None:
        if (run_id := self._id(which)) is None:
            return
        was_over = self._run(run_id).status in DONE
        try:
            self.plane.services.stopper.stop(run_id, "by a person", self.plane.clock())
        except AlreadyEnded:
            assert was_over or self._run(run_id).status in DONE
        else:
            assert not was_over
        self.plane.rest()

    @rule()
    def reset(self) -> None:
        deed = Deed(self.plane.person, "reset", "by a person", "test", self.project.id)
        self.plane.services.afk.reset(self.project.id, deed, self.plane.clock())
        # a run that ends from here on is ended by the sweep that Reset asks for, and counts
        self.strikes = 0
        self.plane.rest()

    @rule(enabled=st.booleans())
    def switch(self, enabled: bool) -> None:
        deed = Deed(self.plane.person, "auto", "by a person", "test", self.project.id)
        desk = self.plane.services.afk
        desk.set_auto(self.project.id, deed, self.plane.clock(), enabled=enabled)
        self.plane.rest()

    # --- agents --------------------------------------------------------------------------------

    @rule(which=WHICH)
    def commit(self, which: int) -> None:
        if (run_id := self._id(which)) is None:
            return
        if self.is_working(run_id):
            self.world.commit(run_id)
            self.committed.add(run_id)

    @rule(which=WHICH)
    def leave_a_file(self, which: int) -> None:
        if (run_id := self._id(which)) is None:
            return
        if self.is_working(run_id):
            self.world.leave_file(run_id)

    @rule(which=WHICH, how=st.sampled_from(["well", "badly", "killed", "late", "lost"]))
    def end(self, which: int, how: str) -> None:
        run_id = self._id(which)
        if run_id is None or not self.is_working(run_id):
            return
        match how:
            case "well":
                self.world.end(run_id)
            case "badly":
                self.world.end(run_id, 1)
            case "killed":
                self.world.end(run_id, None, signal=9)
            case "late":
                self.world.end(run_id, None, signal=15, reason=ExitReason.DEADLINE)
            case "lost":
                self.world.lose(run_id)

    # --- the world -----------------------------------------------------------------------------

    @rule(is_silent=st.booleans())
    def fall_silent(self, is_silent: bool) -> None:
        self.world.is_silent = is_silent

    @rule(which=WHICH, can=st.booleans())
    def resist(self, which: int, can: bool) -> None:
        run_id = self._id(which)
        if run_id in self.world.processes:
            self.world.processes[run_id].can_be_killed = can

    # --- Runyard -------------------------------------------------------------------------------

    @rule(which=WHICH)
    def reap(self, which: int) -> None:
        if (run_id := self._id(which)) is None:
            return
        self.plane.reaper.reap_once(run_id)
        self.plane.rest()

    @rule(which=WHICH)
    def reap_twice_at_once(self, which: int) -> None:
        if (run_id := self._id(which)) is None:
            return
        for _ in range(2):
            self.plane.workers.submit(self.plane.reaper.reap_once, run_id)
        self.plane.rest()

    @rule(which=WHICH)
    def reap_while_it_is_stopped(self, which: int) -> None:
        if (run_id := self._id(which)) is None:
            return
        self.plane.workers.submit(self.plane.reaper.reap_once, run_id)
        self.stop(which)

    @rule()
    def tick(self) -> None:
        self.plane.tick()

    @rule()
    def restart(self) -> None:
        self.plane.stop()
        self.start_anew()
        self.plane.rest()

    # --- invariants ----------------------------------------------------------------------------

    @invariant()
    def everything_holds(self) -> None:
        runs = self._runs()
        self._count(runs)
        assert self._project().strikes == self.strikes
        assert len(set(self.world.launches)) == len(self.world.launches)
        for run in runs:
            self._check(run)

    def _check(self, run: Run) -> None:
        if run.status in DONE:
            assert (run.status, bool(run.cause)) == (self.ended[run.id], True)
        process = self.world.processes.get(run.id)
        if run.released_at is not None and process is not None:
            assert not process.is_alive
        if run.id in self.world.launches and run.id not in self.world.copies:
            # without its copy, its work is in the mirror or was delivered
            heads = self.world.mirrors[self.project.id]
            has_nothing = run.issue is None and run.id not in self.committed
            assert has_nothing or run.work_branch in heads or run.delivery is not None

    # --- the model -----------------------------------------------------------------------------

    def _count(self, runs: list[Run]) -> None:
        fresh = [run for run in runs if run.status in DONE and run.id not in self.ended]
        for run in sorted(fresh, key=lambda one: (one.ended_at, self._end_line(one))):
            assert run.status in ENDED
            self.ended[run.id] = run.status
            if run.issue is None:
                continue
            if run.status == "succeeded":
                self.strikes = 0
            elif run.cause in STRIKING:
                self.strikes += 1

    def _end_line(self, run: Run) -> int:
        lines = self.plane.ledgers.runs.timeline(run.id)
        ends = [one.id or 0 for one in lines if one.kind in ("reaped", "delivered")]
        return max(ends, default=0)

    def settle(self) -> None:
        """Let all runs end, and check that none stays open."""
        self.world.is_silent = False
        for process in self.world.processes.values():
            process.can_be_killed = True
        self.switch(False)
        for _ in range(len(self.ids) + 3):
            for run in self._runs():
                if self.is_working(run.id):
                    self.world.end(run.id)
            is_settled = all(run.released_at is not None for run in self._runs())
            self.plane.clock.advance(60)
            self.plane.tick()
            # one sweep more than needed shows that it stays so
            if is_settled:
                break
        self._count(self._runs())
        assert self._project().strikes == self.strikes
        for run in self._runs():
            assert run.status in ENDED, (run.status, run.hold)
            assert run.released_at is not None, (run.status, run.hold)
            kinds = [line.kind for line in self.plane.ledgers.runs.timeline(run.id)]
            assert kinds.count("accepted") == 1
            assert kinds.count("kill_verified") <= 1

    def _id(self, which: int) -> str | None:
        return self.ids[which % len(self.ids)] if self.ids else None

    def is_working(self, run_id: str) -> bool:
        return super().is_working(run_id) and run_id in self.world.copies

    def _project(self) -> Project:
        found = self.plane.ledgers.projects.find(self.project.id)
        assert found is not None
        return found

    def _run(self, run_id: str) -> Run:
        found = self.plane.ledgers.runs.find(run_id)
        assert found is not None
        return found

    def _runs(self) -> list[Run]:
        return runs_of(self.plane.stores, self.project.id)


def test_f12_f13_every_run_ends_once_with_the_right_count() -> None:
    tell(Interleavings, INTERLEAVINGS, 20)


@pytest.mark.soak
def test_f12_f13_every_run_ends_once_with_the_right_count_in_300_interleavings() -> None:
    tell(Interleavings, INTERLEAVINGS_OF_THE_SOAK, 20)
