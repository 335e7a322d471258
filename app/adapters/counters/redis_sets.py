"""Sets in Valkey or Redis: the ids of the active runs of each repository."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

import redis
from redis.client import Pipeline
from redis.connection import ConnectionPool, parse_url
from redis.exceptions import RedisError

from app.adapters.counters.redis_windows import BOUNDS, PAUSE_SECONDS, Breaker
from app.domain.ids import is_run_id
from app.services.ports import CountersSilent

# repositories per transaction
AT_ONCE = 200
_PROJECT = re.compile(r"[0-9a-z_]{1,80}", re.ASCII)


class RedisSets:
    """The sets of active runs, by project id."""

    def __init__(self, url: str) -> None:
        options: dict[str, Any] = {**parse_url(url)} | BOUNDS
        self._pool = ConnectionPool(**options)
        self._redis = redis.Redis(connection_pool=self._pool)
        self._breaker = Breaker(PAUSE_SECONDS)

    def count(self, project_id: str) -> int:
        """Return the number of a repository's active runs. Raises CountersSilent."""
        return cast("int", self._ask(lambda: self._redis.scard(key_of(project_id))))

    def change(self, project_id: str, *, added: Collection[str], removed: Collection[str]) -> None:
        """Add and remove runs in one transaction. Raises CountersSilent."""
        key = key_of(project_id)

        def queue(pipeline: Pipeline) -> None:
            if removed:
                pipeline.srem(key, *map(_member, removed))
            if added:
                pipeline.sadd(key, *map(_member, added))

        self._send(queue)

    def make(self, runs: Mapping[str, Collection[str]]) -> None:
        """Replace the sets of these repositories, each atomically. Raises CountersSilent."""
        projects = sorted(runs)
        for begin in range(0, len(projects), AT_ONCE):
            some = projects[begin : begin + AT_ONCE]

            def queue(pipeline: Pipeline, some: list[str] = some) -> None:
                for project_id in some:
                    pipeline.delete(key_of(project_id))
                    if members := runs[project_id]:
                        pipeline.sadd(key_of(project_id), *map(_member, members))

            self._send(queue)

    def close(self) -> None:
        """Close all connections."""
        self._pool.disconnect()

    def _send(self, queue: Callable[[Pipeline], None]) -> None:
        pipeline = self._redis.pipeline(transaction=True)
        queue(pipeline)
        self._ask(pipeline.execute)

    def _ask(self, question: Callable[[], object]) -> object:
        if not self._breaker.may_try():
            raise CountersSilent("left alone after a failure")
        try:
            answer = question()
        except (RedisError, OSError) as problem:
            self._breaker.failed()
            raise CountersSilent(f"{type(problem).__name__}: {problem}") from problem
        self._breaker.worked()
        return answer


def key_of(project_id: str) -> str:
    """Return the key of a repository's set. Raises ValueError for a malformed project id."""
    if not _PROJECT.fullmatch(project_id):
        raise ValueError(f"no project's id: {project_id[:60]!r}")
    return f"amtp:rl:repo:{project_id}:concurrency"


def _member(run_id: str) -> str:
    if not is_run_id(run_id):
        raise ValueError(f"no run's id: {run_id[:60]!r}")
    return run_id
