"""Looks that many requests share start every run that has room, also after a kill in between.

A look may come late, but none is lost: after every step no run waits that could have started, and
each waiting run says why it waits.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from app.domain.words import Depth
from app.errors import AccountHeld, AlreadyEnded
from app.records.feed import ObstacleRemoved
from app.records.tables import AccountHold, Project, Run
from app.services.runs.requests import RunRequest
from tests.builders.batches import a_batch
from tests.drivers.schedules import pass_time
from tests.drivers.state_machines import PlaneMachine, tell

STORIES, STORIES_OF_THE_SOAK = 8, 300
MOST_LIVE = 2
WHICH = st.integers(0, 3)  # counted from the oldest
WHERE = st.integers(0, 1)
MODELS = st.sampled_from([None, "claude-opus-4"])
OBSTACLES = st.sampled_from([{"state": "cloning"}, {"unreachable": True, "origin_because": "away"}])
CLEAR = {"state": "ready", "unreachable": False, "origin_because": None}


class Queue(PlaneMachine):
    """Requests, batches, obstacles, ends, looks and kills in any order."""

    wishes: ClassVar = {"max_live_runs": MOST_LIVE, "run_quota": 10_000, "batch_quota": 10_000}

    @initialize()
    def begin(self) -> None:
        self.open_plane()
        # the second one takes one planned run or batch item at a time
        rooms = (1000, 1)
        self.projects = [self.plane.add_project(self.world, max_concurrency=n) for n in rooms]
        self.accepted: set[str] = set()
        self.has_looked = True

    # --- people --------------------------------------------------------------------------------

    @rule(count=st.integers(1, 4), model=MODELS)
    def accept_some_at_once(self, count: int, model: str | None) -> None:
        accepted = [self._accept(self.projects[0], model=model) for _ in range(count)]
        self.plane.rest()
        self.has_looked |= any(accepted)

    @rule(where=WHERE, delay=st.sampled_from([5, 30]), ttl=st.sampled_from([None, 20]))
    def accept_for_later(self, where: int, delay: int, ttl: int | None) -> None:
        self._accept(self.projects[where], delay_seconds=delay, ttl_seconds=ttl)
        self.plane.rest()

    @rule(ttl=st.sampled_from([10, 60]))
    def accept_for_a_while(self, ttl: int) -> None:
        is_accepted = self._accept(self.projects[0], ttl_seconds=ttl)
        self.plane.rest()
        self.has_looked |= is_accepted

    @rule(where=WHERE, count=st.integers(1, 3))
    def send_a_batch(self, where: int, count: int) -> None:
        a_batch(self.plane, self.projects[where], count)
        self._rest()

    @rule(which=WHICH)
    def stop_one(self, which: int) -> None:
        waiting = self._queued()
        if which < len(waiting):
            with suppress(AlreadyEnded):
                self.plane.services.stopper.stop(waiting[which].id, "no", self.plane.clock())
            self.plane.rest()

    # --- obstacles -----------------------------------------------------------------------------

    @rule(where=WHERE, obstacle=OBSTACLES)
    def block(self, where: int, obstacle: dict[str, Any]) -> None:
        self.plane.ledgers.projects.change(self.projects[where].id, **obstacle)
        self.has_looked = False

    @rule(where=WHERE)
    def unblock(self, where: int) -> None:
        self.plane.ledgers.projects.change(self.projects[where].id, **CLEAR)
        self.plane.feed.publish([ObstacleRemoved()])
        self._rest()

    @rule()
    def reach_a_limit(self) -> None:
        agent, now = self.projects[0].agent, self.plane.clock()
        account = self.plane.services.limits._agents.account(agent)
        hold = AccountHold(
            agent=agent,
            account=account,
            family="opus",
            since=now,
            until=now + timedelta(seconds=40),
            evidence="told by a test",
            run_id="run_0",
        )
        with self.plane.stores.control.transaction() as tx:
            tx.merge(hold)
        self.has_looked = False

    # --- runs and time -------------------------------------------------------------------------

    @rule(which=WHICH, code=st.integers(0, 1))
    def end(self, which: int, code: int) -> None:
        live = [run for run in self._open() if self.is_working(run.id)]
        if which < len(live):
            self.world.end(live[which].id, code)
            self._tick()

    @rule(seconds=st.sampled_from([1, 10, 40]))
    def wait(self, seconds: int) -> None:
        """Let time pass without a tick: the scheduled fills have to suffice."""
        pass_time(self.plane, seconds)
        now = self.plane.clock()
        late = [run for run in self._queued() if run.expires_at and run.expires_at <= now]
        assert late == []

    @rule()
    def tick(self) -> None:
        self._tick()

    @rule(count=st.integers(1, 2), delay=st.sampled_from([None, 5]))
    def die_before_the_look(self, count: int, delay: int | None) -> None:
        """Accept runs on a server that is killed before it looks at the queue."""
        self.plane.workers.close()
        self.plane.rest()
        for _ in range(count):
            self._accept(self.projects[0], delay_seconds=delay)
        self._come_back()

    @rule()
    def die(self) -> None:
        self.plane.workers.close()
        self.plane.rest()
        self._come_back()

    # --- what holds ----------------------------------------------------------------------------

    @invariant()
    def nothing_runs_twice_or_beyond_the_limit(self) -> None:
        assert len(self.world.launches) == len(set(self.world.launches))
        assert len(self._live()) <= MOST_LIVE

    @invariant()
    def no_run_waits_that_could_have_started(self) -> None:
        if not self.has_looked:
            return
        has_room = len(self._live()) < MOST_LIVE
        for run in self._queued():
            why = self._reason(run)
            if has_room:
                assert why is not None, (run.hold, self._live())
            if run.batch_id is None:
                full = f"waits for other runs to end: {MOST_LIVE} of {MOST_LIVE} are live"
                of_project = self._hold_of_project(run)
                # a narrower hold may stay while all slots are taken
                accounts = [
                    one.sentence for one in self.plane.services.limits.views(self.plane.clock())
                ]
                allowed = [why] if has_room else [full, why, *accounts]
                assert run.hold in ([of_project] if of_project else allowed)

    # --- the model -----------------------------------------------------------------------------

    def _reason(self, run: Run) -> str | None:
        """Return why a run waits although there is a free slot, None if it should not."""
        if hold := self._hold_of_project(run):
            return hold
        if run.batch_id is not None or run.due_at is not None:
            project = self.plane.ledgers.projects.find(run.project_id)
            assert project is not None
            active = [one for one in self._open() if self._counts(one, project)]
            if len(active) >= project.max_concurrency:
                return f"waits for this project's other runs: {len(active)} of 1 are active"
        return self.plane.services.limits.reason(run.agent, run.model, self.plane.clock())

    @staticmethod
    def _counts(run: Run, project: Project) -> bool:
        is_waiting = run.status in ("queued", "delayed")
        is_planned = run.batch_id is not None or run.due_at is not None
        return run.project_id == project.id and not (is_waiting and is_planned)

    def _hold_of_project(self, run: Run) -> str | None:
        project = self.plane.ledgers.projects.find(run.project_id)
        assert project is not None
        if project.state == "cloning":
            return "the repository is being cloned"
        return "the repository cannot be reached: away" if project.unreachable else None

    def _accept(self, project: Project, **wishes: Any) -> bool:
        now = self.plane.clock.advance(0.01)
        order = RunRequest(project.id, Depth.QUICK, "auto", task=f"at {now}", **wishes)
        try:
            run = self.plane.services.accept.accept(order, self.plane.requester(), now).run
        except AccountHeld:
            return False
        self.accepted.add(run.id)
        return True

    def _rest(self) -> None:
        self.plane.rest()
        self.has_looked = True

    def _tick(self) -> None:
        self.plane.tick()
        self.has_looked = True

    def _come_back(self) -> None:
        for database in self.plane.stores.all():
            database.close()
        self.start_anew()
        self.plane.services.sweep.request_here()
        self._rest()

    def _open(self) -> list[Run]:
        return self.plane.ledgers.runs.open_runs()

    def _live(self) -> list[Run]:
        return [run for run in self._open() if run.status not in ("queued", "delayed")]

    def _queued(self) -> list[Run]:
        return [run for run in self._open() if run.status == "queued"]

    def settle(self) -> None:
        """Remove every obstacle, let all runs end, and check that none was lost."""
        for project in self.projects:
            self.plane.ledgers.projects.change(project.id, **CLEAR)
        for _ in range(200):
            for run in self._open():
                if self.is_working(run.id):
                    self.world.commit(run.id)
                    self.world.end(run.id)
            self.plane.clock.advance(60)
            self.plane.tick()
            if not self._open():
                break
        assert self._open() == []
        over = self.plane.ledgers.runs.find_all(self.accepted)
        assert set(over) == self.accepted
        never = {run.id for run in over.values() if run.id not in self.world.launches}
        assert {over[one].status for one in never} <= {"expired", "stopped"}


def test_shared_looks_start_every_run_that_has_room() -> None:
    tell(Queue, STORIES)


@pytest.mark.soak
def test_shared_looks_start_every_run_that_has_room_in_300_stories() -> None:
    tell(Queue, STORIES_OF_THE_SOAK, 25)
