"""The server as pages see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
from fastapi import Request
from starlette.types import ASGIApp

from app.api.client.client import ApiClient
from app.api.http.gate import visitor_of
from app.api.http.site import Site
from app.api.live import LiveStream
from app.api.live_events import LiveEvent
from app.pages.shell.waiting_pages import WaitingPages
from app.services.review.visits import Visits

PAGE_CALL_SECONDS = 60
LONGEST_AGENT = 300
WrapTransport = Callable[[httpx.AsyncBaseTransport], httpx.AsyncBaseTransport]


@dataclass(frozen=True)
class PageServer:
    """The server as pages see it: the live feed, and an API client for each visitor."""

    live: LiveStream
    gate: ASGIApp
    visits: Visits
    site: Site
    wrap_transport: WrapTransport | None = None
    waiting: WaitingPages = field(default_factory=WaitingPages)

    def subscribe(
        self, request: Request, on_event: Callable[[LiveEvent], None]
    ) -> Callable[[], None]:
        """Call `on_event` with each event for the person who made `request`."""
        return self.live.subscribe(on_event, visitor_of(request))

    def begin_visit(self, request: Request) -> Callable[[], None]:
        """Record that the person who made `request` has a page open, until the result is called."""
        return self.visits.begin(visitor_of(request).person_id)

    def client_for(self, request: Request) -> ApiClient:
        """Return an in-process API client that carries the session of `request`."""
        name = self.site.cookie
        origin = f"{request.url.scheme}://{request.headers['host']}"
        peer = request.client or ("127.0.0.1", 0)
        transport: httpx.AsyncBaseTransport = httpx.ASGITransport(
            self.gate, raise_app_exceptions=False, client=(peer[0], peer[1])
        )
        if self.wrap_transport is not None:
            transport = self.wrap_transport(transport)
        http = httpx.AsyncClient(
            transport=transport,
            base_url=origin,
            cookies={name: request.cookies.get(name, "")},
            timeout=PAGE_CALL_SECONDS,
            trust_env=False,
        )
        # a page that was opened with a token calls the API with the same token
        bearer = request.headers.get("Authorization")
        same = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
        # by it a device is named; a header of our own is ASCII
        agent = request.headers.get("User-Agent", "")
        same["User-Agent"] = agent.encode("ascii", "ignore").decode()[:LONGEST_AGENT]
        return ApiClient(http, same | ({"Authorization": bearer} if bearer else {}))
