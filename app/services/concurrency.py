"""Worker threads, bounded queues and named locks for slow work such as clones and kills."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from contextvars import copy_context
from functools import partial
from time import monotonic
from typing import Any, Protocol, TypeVar

import structlog

from app.records.database.database import DatabaseSilent
from app.records.people.reach import REACH, within

log = structlog.get_logger()
_T = TypeVar("_T")


class Workers:
    """Thread pool for duties; a duty that raises is logged and affects no other."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="runyard")
        self._pending: set[Future[Any]] = set()

    def submit(self, duty: Callable[..., Any], *args: Any) -> None:
        """Run a duty soon on a worker thread. After `close` it is only logged."""
        self._put(partial(guarded, duty, *args), duty)

    def carry_on(self, duty: Callable[..., Any], *args: Any) -> None:
        """Run a duty in the caller's context, so that log lines keep its correlation id."""
        self._put(partial(copy_context().run, _unlimited, guarded, duty, *args), duty)

    def _put(self, call: Callable[[], Any], duty: Callable[..., Any]) -> Future[Any] | None:
        try:
            future = self._pool.submit(call)
        except RuntimeError:
            log.info("duty_dropped", duty=_name(duty), because="the server is closing")
            return None
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future

    def do_all(
        self, duties: list[Callable[[], Any]], seconds: float, *, afterwards: Callable[[], None]
    ) -> None:
        """Run all duties in parallel and wait for up to `seconds`.

        `afterwards()` is called after each duty that ends later than that.
        """
        guard, ended, is_late = threading.Lock(), 0, False

        def do(duty: Callable[[], Any]) -> None:
            nonlocal ended
            try:
                duty()
            finally:
                with guard:
                    ended, ends_late = ended + 1, is_late
                if ends_late:
                    afterwards()

        futures = [self._put(partial(guarded, do, duty), duty) for duty in duties]
        in_time = wait([future for future in futures if future], seconds).done
        with guard:
            is_late, has_missed = True, ended > len(in_time)
        if has_missed:
            # a duty ended after the wait, and before it could see that it is late
            afterwards()

    def finish(self, timeout_seconds: float) -> bool:
        """Wait until nothing is pending, including work that duties submit. False on timeout."""
        give_up_at = monotonic() + timeout_seconds
        while pending := set(self._pending):
            if wait(pending, max(0.0, give_up_at - monotonic())).not_done:
                return False
        return True

    def close(self) -> None:
        """Cancel duties that have not begun; the others finish, without waiting for them."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Pool(Protocol):
    """Runs duties on worker threads: Workers, or a BoundedQueue of them."""

    def submit(self, duty: Callable[..., Any], *args: Any) -> None:
        """Run a duty soon on a worker thread."""
        ...


class SingleFlight:
    """Runs a duty in rounds, for each key never two at once.

    A request during a round causes one more after it. `holding` opens the lock of a key's rounds,
    or yields False while another duty holds it; without it, the lock is this object's own.
    """

    def __init__(
        self,
        duty: Callable[[str], object],
        holding: Callable[[str], AbstractContextManager[bool]] | None = None,
    ) -> None:
        self._duty = duty
        self._holding = holding or partial(Locks().holding, wait=False)
        self._guard = threading.Lock()
        self._wanted: set[str] = set()
        self._submitted: set[str] = set()

    def run(self, key: str = "") -> bool:
        """Go round here and now; return False if another duty holds the key's lock.

        If that is another round of this, it goes round once more. Raises what the duty raises.
        """
        self._wanted.add(key)
        return self._go_rounds(key, self._duty)

    def request(self, pool: Pool, key: str = "") -> None:
        """Go round soon on a worker thread; what the duty raises there is only logged."""
        with self._guard:
            self._wanted.add(key)
            if key in self._submitted:
                return  # a round is still to begin
            self._submitted.add(key)
        pool.submit(self._begin, key)

    def _begin(self, key: str) -> None:
        with self._guard:
            self._submitted.discard(key)
        self._go_rounds(key, partial(guarded, self._duty))

    def _go_rounds(self, key: str, duty: Callable[[str], object]) -> bool:
        # looked up after the lock is free: requests of those that found it held are not lost
        while key in self._wanted:
            with self._holding(key) as held:
                if not held:
                    return False
                if key in self._wanted:
                    self._wanted.discard(key)
                    mark = REACH.set(None)  # a round is for everybody, whoever asked for it
                    try:
                        duty(key)
                    finally:
                        REACH.reset(mark)
        return True


def guarded(duty: Callable[..., _T], *args: Any) -> _T | None:
    """Do a duty and return its answer, or None if it raises, which is only logged."""
    try:
        return duty(*args)
    except DatabaseSilent as silent:
        if not silent.lasts:
            log.exception("duty_failed", duty=_name(duty))
        else:
            # the store watch reports it once; a trace from every duty would bury that
            log.warning("duty_failed", duty=_name(duty), because=str(silent))
    except Exception:
        log.exception("duty_failed", duty=_name(duty))
    return None


def _unlimited(duty: Callable[..., _T], *args: Any) -> _T:
    """Do a duty without the limits of the request that caused it."""
    with within(None):
        return duty(*args)


def _name(duty: Callable[..., Any]) -> str:
    while isinstance(duty, partial):
        duty = duty.func  # its arguments may hold secrets
    return getattr(duty, "__qualname__", repr(duty))


class SharedLocks(Protocol):
    """Named locks between servers that share their runs."""

    def holding(self, name: str, *, wait: bool) -> AbstractContextManager[bool]:
        """Hold a lock. Without `wait`, yield False if another server holds it."""
        ...


class Locks:
    """Named locks that exist only while held or awaited.

    With `shared`, they also exclude other servers.
    """

    def __init__(self, shared: SharedLocks | None = None) -> None:
        self._shared = shared
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}
        self._waiting: dict[str, list[Callable[[], object]]] = {}

    @contextmanager
    def holding(self, name: str, *, wait: bool = True) -> Generator[bool]:
        """Hold a lock. Without `wait`, yield False if it is already held."""
        lock = self._join(name)
        try:
            held = lock.acquire(blocking=wait)
            try:
                if held and self._shared is not None:
                    with self._shared.holding(name, wait=wait) as is_ours:
                        yield is_ours
                else:
                    yield held
            finally:
                if held:
                    lock.release()
                    self._call_waiting(name)
        finally:
            self._leave(name)

    def when_free(self, name: str, duty: Callable[[], object]) -> bool:
        """Call `duty` once the lock is released. Return False if this server does not hold it.

        `duty` runs on the thread that releases the lock; it must neither raise nor take long.
        """
        with self._guard:
            lock, _ = self._locks.get(name, (None, 0))
            if lock is None or not lock.locked():
                return False
            self._waiting.setdefault(name, []).append(duty)
            return True

    def _call_waiting(self, name: str) -> None:
        with self._guard:
            waiting = self._waiting.pop(name, [])
        for duty in waiting:
            duty()

    def _join(self, name: str) -> threading.Lock:
        with self._guard:
            lock, users = self._locks.get(name, (threading.Lock(), 0))
            self._locks[name] = (lock, users + 1)
            return lock

    def _leave(self, name: str) -> None:
        with self._guard:
            lock, users = self._locks[name]
            if users == 1:
                del self._locks[name]
            else:
                self._locks[name] = (lock, users - 1)


class BoundedQueue:
    """Runs at most `at_once` duties on the worker pool; the rest wait in order.

    Keeps slow work, such as clones, from occupying every worker.
    """

    def __init__(self, workers: Workers, at_once: int) -> None:
        self._workers = workers
        self._free = at_once
        self._guard = threading.Lock()
        self._waiting: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()

    def submit(self, duty: Callable[..., Any], *args: Any) -> None:
        """Queue a duty; it runs in its turn on a worker thread."""
        with self._guard:
            self._waiting.append((duty, args))
        self._begin_next()

    def _begin_next(self) -> None:
        with self._guard:
            if not self._free or not self._waiting:
                return
            self._free -= 1
            duty, args = self._waiting.popleft()
        self._workers.submit(self._do, duty, *args)

    def _do(self, duty: Callable[..., Any], *args: Any) -> None:
        try:
            duty(*args)
        finally:
            with self._guard:
                self._free += 1
            self._begin_next()
