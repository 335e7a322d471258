"""Waiting for a run's release in calls that arrive between its end and its release."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from app.errors import BeingReleased
from app.services.container import Services
from app.services.rows import FeedBroke, Numbered, RunChanged

PATIENCE_SECONDS = 15.0
_T = TypeVar("_T")


async def once_released(services: Services, act: Callable[[], _T]) -> _T:
    """Call `act` on a worker thread; if a run is still being released, wait and call it again.

    Waits at most PATIENCE_SECONDS, without occupying a thread. Raises what `act` raises.
    """
    try:
        # without a subscription: hardly any call meets a release, and every listener costs
        return await run_in_threadpool(act)
    except BeingReleased:
        pass
    until = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        # subscribe before calling: a release in between is not missed
        with _subscription(services) as changed:
            try:
                return await run_in_threadpool(act)
            except BeingReleased as refusal:
                if not await _is_released(services, refusal.run_id, changed, until):
                    raise


async def _is_released(
    services: Services, run_id: str, changed: asyncio.Queue[str | None], until: float
) -> bool:
    """Wait until a run is released; return False on timeout."""
    while (left := until - asyncio.get_running_loop().time()) > 0:
        try:
            changed_id = await asyncio.wait_for(changed.get(), left)
        except TimeoutError:
            break
        if changed_id in (run_id, None):
            run = await run_in_threadpool(services.listing.find_or_none, run_id)
            if run is None or run.released_at is not None:
                return True
    return False


@contextmanager
def _subscription(services: Services) -> Generator[asyncio.Queue[str | None]]:
    """Subscribe a queue to the ids of changed runs; None in it means that some were missed."""
    loop, changed = asyncio.get_running_loop(), asyncio.Queue[str | None]()

    def on_change(one: Numbered) -> None:
        # called in the thread that committed
        change = one.change
        if isinstance(change, FeedBroke):
            loop.call_soon_threadsafe(changed.put_nowait, None)
        elif isinstance(change, RunChanged):
            loop.call_soon_threadsafe(changed.put_nowait, change.run_id)

    leave = services.feed.subscribe(on_change)
    try:
        yield changed
    finally:
        leave()
