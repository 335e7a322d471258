"""Windows in Valkey or Redis: a Lua script on sorted sets, timed by the Redis server's clock."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any, cast

import redis
import structlog
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, parse_url
from redis.exceptions import RedisError
from redis.retry import Retry

from app.domain.ids import is_batch_id, is_run_id
from app.domain.quota import Counted
from app.services.ports import Charge, CountersSilent, WindowState

log = structlog.get_logger()
# a caller waits this long once; then the breaker blocks everybody for the pause
ANSWER_SECONDS = 0.06
PAUSE_SECONDS = 1.0
# a charge without a row is kept this long, as its row may still be waiting to be written
GRACE_SECONDS = 60
# a window that stays empty, for probes
NOBODY = "amtp:rl:user:nobody:runs"
_PERSON = re.compile(r"person_[0-9a-v]{24}", re.ASCII)
BOUNDS: dict[str, Any] = {
    "socket_timeout": ANSWER_SECONDS,
    "socket_connect_timeout": ANSWER_SECONDS,
    # a retry would double the wait
    "retry": Retry(NoBackoff(), 0),
    "retry_on_error": [],
    "retry_on_timeout": False,
    # no handshake: each of its steps could take the full timeout
    "protocol": 2,
    "driver_info": None,
    "health_check_interval": 0,
    "decode_responses": True,
}


class Breaker:
    """A circuit breaker: after a failure, one caller may retry every `pause` seconds."""

    def __init__(self, pause: float, clock: Callable[[], float] = monotonic) -> None:
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._is_failing = False
        self._closed_until = 0.0

    def may_try(self) -> bool:
        """Return True if no failure is known, or if it is this caller's turn to retry."""
        with self._lock:
            if not self._is_failing:
                return True
            now = self._clock()
            if now < self._closed_until:
                return False
            self._closed_until = now + self._pause
            return True

    def failed(self) -> None:
        """Record a failure: block all callers for the pause."""
        with self._lock:
            self._is_failing = True
            self._closed_until = self._clock() + self._pause

    def worked(self) -> None:
        """Record a success: let all callers through."""
        with self._lock:
            self._is_failing = False


SCRIPT = Path(__file__).with_name("window.lua")


class RedisWindows:
    """Sliding windows, one per person and kind, of so many seconds each."""

    def __init__(self, url: str, seconds: Mapping[Counted, int]) -> None:
        self._seconds = seconds
        # ours come last: options in the address must not override the bounds
        options: dict[str, Any] = {**parse_url(url)} | BOUNDS
        self._pool = ConnectionPool(**options)
        self._redis = redis.Redis(connection_pool=self._pool)
        self._script = self._redis.register_script(SCRIPT.read_text())
        self._breaker = Breaker(PAUSE_SECONDS)

    def take(self, person_id: str, charge: Charge, limit: int) -> WindowState:
        """Take all places of a charge, or none; `used` counts those taken before.

        Raises CountersSilent.
        """
        asked: dict[str, Any] = {"take": _member(charge), "limit": limit}
        if charge.counted is Counted.BATCHES:
            asked["items"] = charge.items
        taken, used = self._run(person_id, charge.counted, **asked)
        return WindowState(taken == 1, used)

    def release(self, person_id: str, charge: Charge) -> None:
        """Return the places of a charge that was not used. Raises CountersSilent."""
        self._run(person_id, charge.counted, give_back=_member(charge))

    def restore(self, person_id: str, counted: Counted, ages: Mapping[Charge, float]) -> None:
        """Set a window to these charges, with ages in seconds. Raises CountersSilent.

        Other charges are kept for the first 60 seconds, as their rows may not be written yet.
        """
        known = [(_member(charge), max(0, _micro(age))) for charge, age in ages.items()]
        self._run(person_id, counted, known=known)

    def probe(self) -> None:
        """Run the script on an empty window, as a test that windows can be written.

        Raises CountersSilent.
        """
        self._call(NOBODY, self._window_of(Counted.RUNS))

    def close(self) -> None:
        """Close all connections."""
        self._pool.disconnect()

    def _run(self, person_id: str, counted: Counted, **asked: Any) -> tuple[int, int]:
        return self._call(key_of(person_id, counted), {**self._window_of(counted), **asked})

    def _window_of(self, counted: Counted) -> dict[str, int]:
        return {"window": _micro(self._seconds[counted]), "grace": _micro(GRACE_SECONDS)}

    def _call(self, key: str, asked: Mapping[str, Any]) -> tuple[int, int]:
        if not self._breaker.may_try():
            raise CountersSilent("left alone after a failure")
        try:
            answer = self._script(keys=[key], args=[json.dumps(asked)])
            taken, used = cast("list[int]", answer)
        except (RedisError, OSError, ValueError, TypeError) as problem:
            self._breaker.failed()
            if "WRONGTYPE" in str(problem):
                self._clear(key)
            raise CountersSilent(f"{type(problem).__name__}: {problem}") from problem
        self._breaker.worked()
        return taken, used

    def _clear(self, key: str) -> None:
        # the key is ours alone, and nothing else would ever repair it
        log.warning("malformed_window_removed", key=key)
        with contextlib.suppress(RedisError, OSError):
            self._redis.delete(key)


def key_of(person_id: str, counted: Counted = Counted.RUNS) -> str:
    """Return the key of a person's window. Raises ValueError for a malformed person id."""
    if not _PERSON.fullmatch(person_id):
        raise ValueError(f"no person's id: {person_id[:60]!r}")
    return f"amtp:rl:user:{person_id}:{counted}"


def _member(charge: Charge) -> str:
    """Return a charge's member in its window. Raises ValueError for a malformed id."""
    if charge.counted is Counted.BATCHES:
        if not is_batch_id(charge.id):
            raise ValueError(f"no batch's id: {charge.id[:60]!r}")
        return f"{charge.id}:{charge.items}"
    if not is_run_id(charge.id):
        raise ValueError(f"no run's id: {charge.id[:60]!r}")
    return charge.id


def _micro(seconds: float) -> int:
    return round(seconds * 1_000_000)
