"""A check that finds its run locked is not lost: it runs when the lock is released."""

from __future__ import annotations

import threading
from contextlib import suppress

from app.services.concurrency import Locks
from tests.drivers.failpoints import hold_at
from tests.drivers.planes import COMMIT, RealPlane
from tests.fakes.agents.runs import until

SECONDS = 10.0


def test_an_end_that_is_heard_while_its_launch_is_at_it_is_seen_without_another_sweep(
    plane: RealPlane,
) -> None:
    held = plane.folder / "held"
    hold_at("after_watch", held)
    project = plane.add_project(COMMIT)
    run = plane.accept(plane.order(project))
    until(held.with_name("held.reached.0").exists, "the launch still has the run", SECONDS)
    plane.ears.wait_for(run.id, "gone")
    plane.inspect_run(run.id)  # as its event handler does
    plane.services.sweep.tick_once(plane.clock())
    assert plane.run(run.id).status == "running"
    held.touch()
    plane.rest()
    assert plane.run(run.id).released_at is not None


def test_what_waits_for_a_lock_is_done_once_it_is_let_go() -> None:
    locks, done = Locks(), []
    with locks.holding("run"):
        assert locks.when_free("run", lambda: done.append("first"))
        assert locks.when_free("run", lambda: done.append("second"))
        assert locks.when_free("other", lambda: done.append("other")) is False
        assert done == []
    assert done == ["first", "second"]
    with locks.holding("run"):
        pass
    assert done == ["first", "second"]


def test_what_waits_may_take_the_lock_itself_though_its_holder_has_failed() -> None:
    locks, done = Locks(), []

    def take() -> None:
        with locks.holding("run", wait=False) as held:
            done.append(held)

    with suppress(RuntimeError), locks.holding("run"):
        locks.when_free("run", take)
        raise RuntimeError("the holder failed")
    assert done == [True]


def test_whoever_asks_while_it_is_let_go_is_not_forgotten() -> None:
    locks = Locks()
    for _ in range(200):
        begun, told = threading.Event(), threading.Event()

        def hold(begun: threading.Event = begun) -> None:
            with locks.holding("run"):
                begun.set()

        holder = threading.Thread(target=hold)
        holder.start()
        assert begun.wait(SECONDS)
        if locks.when_free("run", told.set):
            assert told.wait(SECONDS)
        holder.join()
