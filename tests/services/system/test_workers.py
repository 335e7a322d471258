"""The thread pool: duties that finish, are dropped or fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from app.services.concurrency import BoundedQueue, Locks, Workers


@pytest.fixture
def workers() -> Iterator[Workers]:
    """A pool of two threads."""
    workers = Workers(2)
    yield workers
    workers.close()
    assert workers.finish(5)


def test_finishing_waits_for_what_duties_submit_too(workers: Workers) -> None:
    done: list[int] = []

    def duty(depth: int) -> None:
        if depth < 20:
            workers.submit(duty, depth + 1)
        done.append(depth)

    workers.submit(duty, 0)
    assert workers.finish(5)
    assert done == list(range(21))


def test_finishing_gives_up_in_time(workers: Workers) -> None:
    go_on = threading.Event()
    workers.submit(go_on.wait, 10)
    assert not workers.finish(0.05)
    go_on.set()
    assert workers.finish(5)


@pytest.mark.expects_error_log
def test_a_duty_that_fails_ends_nothing_but_itself(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("its own")

    done = threading.Event()
    workers.submit(fail)
    workers.submit(done.set)
    assert workers.finish(5)
    assert done.is_set()
    assert ["fail" in record.getMessage() for record in caplog.records] == [True]


def test_after_closing_nothing_begins(workers: Workers) -> None:
    go_on, begun, done = threading.Event(), threading.Semaphore(0), []
    for _ in range(4):
        workers.submit(lambda: (begun.release(), go_on.wait(10), done.append(1)))
    for _ in range(2):
        assert begun.acquire(timeout=20)
    workers.close()
    workers.submit(done.append, 2)
    go_on.set()
    assert workers.finish(5)
    # two had started and finished; two had not started
    assert done == [1, 1]


def test_locks_of_different_names_do_not_wait_for_each_other() -> None:
    locks = Locks()
    with locks.holding("a") as first, locks.holding("b", wait=False) as second:
        assert (first, second) == (True, True)
        with locks.holding("a", wait=False) as third:
            assert third is False
    with locks.holding("a", wait=False) as again:
        assert again


def test_a_lock_is_given_back_when_its_holder_fails() -> None:
    locks = Locks()
    with pytest.raises(RuntimeError), locks.holding("a"):
        raise RuntimeError
    with locks.holding("a", wait=False) as again:
        assert again


def test_what_takes_turns_leaves_workers_to_others() -> None:
    workers, gate = Workers(3), threading.Event()
    turns, begun = BoundedQueue(workers, 2), []

    def clone(number: int) -> None:
        begun.append(number)
        gate.wait(10)

    for number in range(5):
        turns.submit(clone, number)
    done = threading.Event()
    workers.submit(done.set)
    assert done.wait(10)
    assert sorted(begun) == [0, 1]
    gate.set()
    assert workers.finish(10)
    assert sorted(begun) == list(range(5))
    workers.close()


@pytest.mark.expects_error_log
def test_a_duty_that_raises_gives_its_turn_back() -> None:
    workers, done = Workers(2), threading.Event()
    turns = BoundedQueue(workers, 1)

    def fail() -> None:
        raise ValueError

    turns.submit(fail)
    turns.submit(done.set)
    assert done.wait(10)
    # the failure is logged before this test ends
    assert workers.finish(10)
    workers.close()


def test_those_who_are_late_ask_for_what_comes_afterwards() -> None:
    workers, gate, asked = Workers(3), threading.Event(), threading.Event()
    done: list[str] = []
    late = [lambda: done.append("quick"), lambda: gate.wait(10)]
    workers.do_all(late, 0.2, afterwards=asked.set)
    assert done == ["quick"]
    assert not asked.is_set()
    gate.set()
    assert asked.wait(10)
    workers.close()
