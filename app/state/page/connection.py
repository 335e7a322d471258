"""The server as a page sees it: the visitor's API client, the live feed, event coalescing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from itertools import count
from typing import Any, Generic, Protocol, TypeVar

from app.api.client.client import ApiClient
from app.domain.json.objects import is_object

Answer = TypeVar("Answer")


# each of these events carries new content, so none replaces an earlier one
NEVER_MERGED = frozenset({"run.event"})


class StateEvent(Protocol):
    """One live event: `run.changed`, `run.event`, `run.log`, `project.changed`, and more."""

    @property
    def kind(self) -> str:
        """The kind of event."""
        ...

    @property
    def data(self) -> Any:
        """The model or members that this kind carries."""
        ...

    @property
    def run_id(self) -> str | None:
        """The id of the run concerned, None if the event is not about a run."""
        ...


class Waiting(Protocol):
    """Pages whose browser has not connected its websocket yet."""

    def add(self, client: Any) -> None:
        """Add a rendered page that waits for its browser to connect."""
        ...


class Connection(Protocol):
    """The server as a page sees it."""

    def subscribe(self, request: Any, on_event: Callable[[Any], None]) -> Callable[[], None]:
        """Call `on_event` with each event that the person who made `request` may get.

        It is called on the event loop; returns the unsubscribe function.
        """
        ...

    @property
    def waiting(self) -> Waiting:
        """The pages whose browser has not connected yet."""
        ...

    def begin_visit(self, request: Any) -> Callable[[], None]:
        """Record that the person who made `request` has a page open, until the result is called."""
        ...

    def client_for(self, request: Any) -> ApiClient:
        """Return a client with the session of the person who made `request`."""
        ...


class LatestRequest(Generic[Answer]):
    """Fetches and shows a value; calls during a fetch are merged into one more fetch.

    So an older response never replaces a newer one, and a burst of calls costs two fetches.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[Answer]], show: Callable[[Answer], None]
    ) -> None:
        self._ask: Callable[[], Awaitable[Answer]] | None = ask
        self._show: Callable[[Answer], None] = show
        self._turn = asyncio.Lock()
        # how many calls came, and how many of them came before the newest fetch began
        self._calls = self._served = 0

    def end(self) -> None:
        """Drop both callbacks: responses that arrive later are not shown."""
        self._show = lambda _: None
        self._ask = None

    async def request(self) -> None:
        """Return once a fetch that began after this call is over, and shown if it succeeded.

        Raises what `ask` raises, to the first of those that waited for it.
        """
        self._calls += 1
        called = self._calls
        async with self._turn:
            if self._served >= called or self._ask is None:
                return
            # before the fetch: one that fails is reported once, not by everyone who waited for it
            before, self._served = self._served, self._calls
            try:
                self._show(await self._ask())
            except asyncio.CancelledError:
                self._served = before
                raise


class Coalescer:
    """Live events received but not shown yet, coalesced by subject."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, tuple[str, Any]] = {}
        self._numbers = count()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, kind: str, data: Any) -> None:
        """Add an event; it replaces a waiting one of the same kind about the same object."""
        key = self._key(kind, data)
        self._waiting.pop(key, None)
        self._waiting[key] = (kind, data)

    def take(self) -> list[tuple[str, Any]]:
        """Return all waiting events, oldest first, and clear them."""
        taken = list(self._waiting.values())
        self._waiting.clear()
        return taken

    def _key(self, kind: str, data: Any) -> Hashable:
        if kind in NEVER_MERGED:
            return kind, next(self._numbers)
        if is_object(data):
            return kind, data.get("id") or data.get("run_id")
        return kind, getattr(data, "id", None)
