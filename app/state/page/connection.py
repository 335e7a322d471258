"""What a page is given of the server: an API client of its visitor's own, and the live feed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from itertools import count
from typing import Any, Generic, Protocol, TypeVar

from app.api.client.client import ApiClient

Answer = TypeVar("Answer")


class Told(Protocol):
    """One live event: `run.changed`, `run.event`, `run.log`, `project.changed`, and more."""

    @property
    def kind(self) -> str:
        """What happened."""
        ...

    @property
    def data(self) -> Any:
        """The model or members that the kind carries."""
        ...

    @property
    def run_id(self) -> str | None:
        """The run that it is about, where it is about one."""
        ...


class Live(Protocol):
    """The feed."""

    def subscribe(self, on_event: Callable[[Any], None]) -> Callable[[], None]:
        """Call `on_event` with each Told, on the event loop; the answer ends it."""
        ...


class Waiting(Protocol):
    """Pages whose browser has not linked itself to the server yet."""

    def add(self, client: Any) -> None:
        """Begin to wait for the browser of a page that is drawn."""
        ...


class Door(Protocol):
    """The server, seen from a page."""

    @property
    def live(self) -> Live:
        """The feed."""
        ...

    @property
    def waiting(self) -> Waiting:
        """The pages that nobody is linked to yet."""
        ...

    def client_for(self, request: Any) -> ApiClient:
        """A client that carries the session of the person who made `request`."""
        ...


class Latest(Generic[Answer]):
    """Asks and shows; who wants it while it is asking makes it ask once more.

    So an older answer never replaces a newer one, and a burst of wishes costs two questions.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[Answer]], show: Callable[[Answer], None]
    ) -> None:
        self._ask: Callable[[], Awaitable[Answer]] | None = ask
        self._show = show
        self._is_asking = self._is_wanted = False

    def end(self) -> None:
        """Let go of who asked and who shows: what is answered from here on is shown nobody."""
        self._show = lambda _: None
        self._ask = None

    async def look(self) -> None:
        """Ask until nobody wanted it since the last question; what `ask` raises goes through."""
        self._is_wanted = True
        if self._is_asking:
            return
        self._is_asking = True
        try:
            while self._is_wanted and self._ask is not None:
                self._is_wanted = False
                answer = await self._ask()
                self._show(answer)
        finally:
            self._is_asking = False


# each of these says something of its own, so none replaces an earlier one
NEVER_MERGED = frozenset({"run.event"})


class Burst:
    """What has been heard and not yet been shown."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, tuple[str, Any]] = {}
        self._numbers = count()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, kind: str, data: Any) -> None:
        """Take in a change; it replaces what was waiting about the same thing."""
        key = self._key(kind, data)
        self._waiting.pop(key, None)
        self._waiting[key] = (kind, data)

    def take(self) -> list[tuple[str, Any]]:
        """Everything that waits, oldest first; nothing waits afterwards."""
        taken = list(self._waiting.values())
        self._waiting.clear()
        return taken

    def _key(self, kind: str, data: Any) -> Hashable:
        if kind in NEVER_MERGED:
            return kind, next(self._numbers)
        if isinstance(data, dict):
            return kind, data.get("id") or data.get("run_id")
        return kind, getattr(data, "id", None)
