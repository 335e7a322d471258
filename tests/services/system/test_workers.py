"""The thread pool: duties that finish, are dropped, fail, are late or go round once more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from datetime import UTC, datetime, timedelta
from functools import partial
from logging import LogRecord
from queue import SimpleQueue
from typing import Any

import pytest

from app.control_plane.scheduler import Scheduler
from app.records.database.database import DatabaseSilent
from app.records.database.write_guard import WritingStopped
from app.services import concurrency
from app.services.concurrency import BoundedQueue, Locks, SingleFlight, Workers
from tests.fakes.agents.runs import until

STOPPED = "The database is damaged."


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
    [record] = caplog.records
    assert (record.getMessage(), vars(record)["duty"].endswith("fail")) == ("duty_failed", True)


@pytest.mark.expects_error_log
def test_a_duty_that_gets_no_answer_of_the_database_leaves_a_trace(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise DatabaseSilent("database is locked")

    workers.submit(fail)
    assert workers.finish(5)
    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "duty_failed")
    assert record.exc_info


def test_a_duty_after_writing_has_stopped_leaves_one_line_without_a_trace(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    workers.submit(_write_after_the_end)
    assert workers.finish(5)
    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == ("WARNING", "duty_failed")
    assert vars(record)["because"] == STOPPED
    assert record.exc_info is None


def test_a_scheduled_duty_after_writing_has_stopped_leaves_no_trace_either(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scheduler, done = Scheduler(), threading.Event()
    scheduler.repeat(_write_after_the_end, 3600)
    scheduler.call_at(datetime.now(UTC), _write_after_the_end)
    scheduler.call_at(datetime.now(UTC) + timedelta(milliseconds=1), done.set, name="last")
    scheduler.start()
    scheduler.clock_was_set()
    assert done.wait(5)
    scheduler.stop()
    until(lambda: len(_failures(caplog)) == 2, "both have failed", 5)
    assert all(vars(record)["because"] == STOPPED for record in _failures(caplog))
    assert not any(record.exc_info for record in caplog.records)


def _write_after_the_end() -> None:
    raise WritingStopped(STOPPED)


def _failures(caplog: pytest.LogCaptureFixture) -> list[LogRecord]:
    return [record for record in caplog.records if record.getMessage() == "duty_failed"]


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


def test_a_duty_that_ends_just_when_the_wait_is_over_is_late(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, afterwards = threading.Event(), threading.Event()

    def wait_and_let_go(futures: list[Future[Any]], seconds: float) -> Any:
        in_time = wait(futures, seconds)
        gate.set()
        wait(futures)
        return in_time

    monkeypatch.setattr(concurrency, "wait", wait_and_let_go)
    workers.do_all([lambda: gate.wait(10)], 0.01, afterwards=afterwards.set)
    assert afterwards.is_set()


class Rounds:
    """A duty that waits for its gate in every round, and records which rounds began and ended."""

    def __init__(self) -> None:
        self.began: SimpleQueue[str] = SimpleQueue()
        self.gate = threading.Semaphore(0)
        self.live: set[str] = set()
        self.done: list[str] = []

    def __call__(self, key: str) -> None:
        assert key not in self.live
        self.live.add(key)
        self.began.put(key)
        assert self.gate.acquire(timeout=10)
        self.live.remove(key)
        self.done.append(key)


def test_requests_during_a_round_cause_one_more_after_it(workers: Workers) -> None:
    rounds = Rounds()
    flight = SingleFlight(rounds)
    flight.request(workers, "a")
    rounds.began.get(timeout=10)
    for _ in range(5):
        flight.request(workers, "a")
    flight.request(workers, "b")
    assert rounds.began.get(timeout=10) == "b", "another key does not wait"
    rounds.gate.release(3)
    assert workers.finish(10)
    assert sorted(rounds.done) == ["a", "a", "b"]


def test_a_round_that_finds_its_lock_held_is_made_by_the_holder(workers: Workers) -> None:
    rounds, locks = Rounds(), Locks()
    flight = SingleFlight(rounds, partial(locks.holding, wait=False))
    with locks.holding("a"):
        assert not flight.run("a")
    workers.submit(flight.run, "a")
    rounds.began.get(timeout=10)
    assert not flight.run("a")
    rounds.gate.release(2)
    assert workers.finish(10)
    assert rounds.done == ["a", "a"]


def test_a_request_that_found_its_lock_held_does_not_swallow_the_next(workers: Workers) -> None:
    rounds, locks = Rounds(), Locks()
    flight = SingleFlight(rounds, partial(locks.holding, wait=False))
    with locks.holding("a"):
        flight.request(workers, "a")
        assert workers.finish(10)
    flight.request(workers, "a")
    rounds.began.get(timeout=10)
    rounds.gate.release()
    assert workers.finish(10)
    assert rounds.done == ["a"]


@pytest.mark.expects_error_log
def test_a_round_that_fails_ends_no_later_one(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    rounds = Rounds()

    def fail(secret: str, key: str) -> None:
        rounds(key)
        raise RuntimeError("its own")

    flight = SingleFlight(partial(fail, "s3cret"))
    for _ in range(2):
        flight.request(workers)
        rounds.began.get(timeout=10)
        rounds.gate.release()
        assert workers.finish(10)
    duties = [vars(record)["duty"] for record in caplog.records]
    assert [duty.rpartition(".")[2] for duty in duties] == ["fail"] * 2
    assert "s3cret" not in f"{duties}{caplog.text}"
    rounds.gate.release()
    with pytest.raises(RuntimeError):
        flight.run()


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
