"""Limits, resets and people in any order: one run probes the account, the others follow."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from app.domain.usage_limits import MAX_RESUMES, STAGGER
from app.errors import AccountHeld, ConcurrencyLimit, Refusal
from app.records.people.audit_ledger import Deed
from app.records.tables import Run
from tests.builders.rows import runs_of
from tests.drivers.state_machines import tell
from tests.fakes.limited_agents import Limited, install_claude

INTERLEAVINGS, INTERLEAVINGS_OF_THE_SOAK = 12, 200
WHICH = st.integers(0, 3)


class Limits(RuleBasedStateMachine):
    """Agents of one account that reaches its limit, people, and the sweep, in any order."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.patch = pytest.MonkeyPatch()
        for name, value in install_claude(Path(self.folder.name) / "bin").items():
            self.patch.setenv(name, value)
        self.yard = Limited(Path(self.folder.name) / "data")
        self.project = self.yard.project()
        self.files = 0
        self.seen = 0
        self.launched_at: list[tuple[datetime, bool]] = []

    def teardown(self) -> None:
        if not hasattr(self, "yard"):
            return
        self._settle()
        self.yard.plane.stop()
        self.patch.undo()
        self.folder.cleanup()

    @rule(delay=st.sampled_from([None, 30]))
    def order(self, delay: int | None) -> None:
        was_held = self._is_held()
        try:
            self.yard.order(self.project, **({"delay_seconds": delay} if delay else {}))
        except AccountHeld:
            assert was_held
        except ConcurrencyLimit:
            pass
        self._note_launches()

    @rule(which=WHICH, told=st.booleans())
    def meet_limit(self, which: int, told: bool) -> None:
        if run := self._working(which):
            self.yard.world.leave_file(run.id)
            self.files += 1
            self.yard.meet_limit(run, timedelta(hours=1) if told else None)

    @rule(which=WHICH)
    def work(self, which: int) -> None:
        if run := self._working(which):
            self.yard.work(run)

    @rule(which=WHICH, code=st.integers(0, 1))
    def end(self, which: int, code: int) -> None:
        if run := self._working(which):
            self.yard.world.commit(run.id)
            self.yard.end(run, code)

    @rule(which=WHICH)
    def stop(self, which: int) -> None:
        if run := self._working(which):
            self.yard.plane.services.stopper.stop(run.id, "by a person", self.yard.now)
            self.yard.plane.rest()

    @rule(which=WHICH)
    def resume_by_hand(self, which: int) -> None:
        limited = [run for run in self._runs() if run.status == "limited"]
        if which >= len(limited):
            return
        try:
            plane = self.yard.plane
            now = plane.clock.advance(1)
            plane.services.resume.resume(limited[which].id, plane.requester(), now)
        except AccountHeld:
            raise
        except Refusal:
            pass
        self.yard.plane.rest()
        self.seen = len(self.yard.world.launches)

    @rule()
    def lift(self) -> None:
        if self._is_held():
            deed = Deed(self.yard.plane.person, "lift", "by a person", "test")
            self.yard.plane.services.limits.lift("claude", "", deed, self.yard.now)

    @rule(seconds=st.sampled_from([1, 20, 60, 1200, 3600]))
    def tick(self, seconds: int) -> None:
        self.yard.tick(after=seconds)
        self._note_launches()

    @rule()
    def start_anew(self) -> None:
        """Restart the server: only stored state survives."""
        self.yard.plane.recover_once()
        self.yard.plane.rest()

    @invariant()
    def no_work_is_lost_and_nothing_runs_twice(self) -> None:
        if not hasattr(self, "yard"):
            return
        launches = self.yard.world.launches
        assert len(launches) == len(set(launches))
        copies = self.yard.world.copies.values()
        assert sum(copy.uncommitted for copy in copies) == self.files
        for run in self._runs():
            assert run.resumes <= MAX_RESUMES
            heirs = [one for one in self._runs() if one.retry_of == run.id]
            assert sum(one.status not in ("not_started", "stopped") for one in heirs) <= 1

    def _note_launches(self) -> None:
        """Check that a held account's launches were one at a time."""
        new = self.yard.world.launches[self.seen :]
        self.seen += len(new)
        holds = self.yard.plane.services.limits.ledger.all()
        if holds:
            assert len(new) <= 1 or holds[0].since == self.yard.now
        if holds and holds[0].next_at is not None and new:
            assert holds[0].next_at - self.yard.now <= STAGGER

    def _settle(self) -> None:
        """Let the account work again: all waiting runs proceed, and no hold stays."""
        for _ in range(60):
            for run in self._runs():
                if self._is_working(run):
                    self.yard.work(run)
                    self.yard.world.commit(run.id)
                    self.yard.end(run)
            is_settled = all(run.released_at and not run.may_resume for run in self._runs())
            self.yard.tick(after=3600)
            # one sweep more than needed shows that it stays so
            if is_settled:
                break
        for run in self._runs():
            assert run.released_at is not None, (run.status, run.hold)
            assert not run.may_resume, (run.status, run.retried_by)
        holds = self.yard.plane.services.limits.ledger.all()
        assert all(hold.probe_run_id is None and hold.next_at is None for hold in holds)

    def _is_held(self) -> bool:
        holds = self.yard.plane.services.limits.views(self.yard.now)
        return any(view.stand == "held" for view in holds)

    def _runs(self) -> list[Run]:
        return runs_of(self.yard.plane.stores, self.project.id)

    def _is_working(self, run: Run) -> bool:
        process = self.yard.world.processes.get(run.id)
        return run.status == "running" and process is not None and process.is_alive

    def _working(self, which: int) -> Run | None:
        working = [run for run in self._runs() if self._is_working(run)]
        return working[which] if which < len(working) else None


def test_an_account_is_tried_by_one_and_followed_one_by_one() -> None:
    tell(Limits, INTERLEAVINGS)


@pytest.mark.soak
def test_an_account_is_tried_by_one_in_200_interleavings() -> None:
    tell(Limits, INTERLEAVINGS_OF_THE_SOAK)
