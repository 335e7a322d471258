"""What a page is given of the server: an API client of its visitor's own, and the live feed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from app.api.client import ApiClient


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
