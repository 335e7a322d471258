"""Calls that come between a run's end and its release: they wait for it instead of refusing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from app.errors import BeingReleased
from app.services.container import Services
from app.services.rows import FeedBroke, Numbered, RunChanged

PATIENCE_SECONDS = 15.0
_T = TypeVar("_T")


async def once_released(services: Services, act: Callable[[], _T]) -> _T:
    """Call `act` on a worker, and again when the run that stood in its way is released.

    It waits for at most PATIENCE_SECONDS, on the event loop alone. Raises what `act` raises.
    """
    until = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        # heard from before it is asked: a release in between is not missed
        with _hearing(services) as changed:
            try:
                return await run_in_threadpool(act)
            except BeingReleased as refusal:
                if not await _is_released(services, refusal.run_id, changed, until):
                    raise


async def _is_released(
    services: Services, run_id: str, changed: asyncio.Queue[str | None], until: float
) -> bool:
    """Wait until a run is released; False where the time is over first."""
    while (left := until - asyncio.get_running_loop().time()) > 0:
        try:
            told = await asyncio.wait_for(changed.get(), left)
        except TimeoutError:
            break
        if told in (run_id, None):
            run = await run_in_threadpool(services.runs.find, run_id)
            if run is None or run.released_at is not None:
                return True
    return False


@contextmanager
def _hearing(services: Services) -> Iterator[asyncio.Queue[str | None]]:
    """The ids of runs as they change; None where something may have been missed."""
    loop, changed = asyncio.get_running_loop(), asyncio.Queue[str | None]()

    def hear(told: Numbered) -> None:
        # in the thread of whoever committed
        change = told.change
        if isinstance(change, FeedBroke):
            loop.call_soon_threadsafe(changed.put_nowait, None)
        elif isinstance(change, RunChanged):
            loop.call_soon_threadsafe(changed.put_nowait, change.run_id)

    leave = services.feed.subscribe(hear)
    try:
        yield changed
    finally:
        leave()
