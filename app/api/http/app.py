"""The API application: middleware that masks secrets, error handlers, routers, OpenAPI."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastapi import Depends, FastAPI, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.http import problems
from app.api.http.dependencies import KnownWords, refuse_doubled_names
from app.api.http.openapi import describe
from app.api.http.site import Site
from app.api.live import LiveStream
from app.api.routes import (
    auto,
    batches,
    bulk,
    events,
    forges,
    inbox,
    issue_board,
    limits,
    parked,
    projects,
    prompts,
    review,
    runs,
    system,
    tracker,
)
from app.api.routes.people import audit, devices, people, sign_in, tokens
from app.domain.secret_masks import MaskStream, SecretMask

# paths with data of runs; texts that a person edits would come back with the mask in them
_TOLD = re.compile(
    r"\A(?:/api/v1)?/(?:issues|search)\Z"
    r"|/(?:runs|approvals|parked|inbox|batches|bulk|events|audit|quarantine|projects/[^/]+/changes)(?:/|\Z)"
)
# the parts of a zip file are masked before they are packed
_PACKED = b"application/zip"


class Masking:
    """Middleware around the API; keeps response lengths and never holds back an event."""

    def __init__(self, app: ASGIApp, mask: Callable[[], SecretMask]) -> None:
        self._app = app
        self._mask = mask

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Mask the body of a response that contains data of runs."""
        is_told = scope["type"] == "http" and _TOLD.search(scope["path"])
        mask = self._mask() if is_told else None
        if not mask:
            await self._app(scope, receive, send)
            return
        stream, is_packed = MaskStream(mask), False

        async def answer(message: Message) -> None:
            nonlocal is_packed
            if message["type"] == "http.response.start":
                is_packed = (b"content-type", _PACKED) in message["headers"]
            elif message["type"] == "http.response.body" and not is_packed:
                body = message.get("body", b"")
                body = stream.take(body) if message.get("more_body") else stream.end(body)
                message = {**message, "body": body}
            await send(message)

        await self._app(scope, receive, answer)


def _look() -> Callable[[Request], Awaitable[None]]:
    words = KnownWords()

    async def look(request: Request) -> None:
        """Refuse what a route would pass over: unknown query words, and names given twice."""
        # one dependency, because solving another one costs more than either check
        await words(request)
        await refuse_doubled_names(request)

    return look


def build_api(
    services: Any, live: LiveStream, *, site: Site, store_silent: type[Exception]
) -> FastAPI:
    """Build the application mounted at `/api/v1`.

    `store_silent` is the exception that is answered as an unavailable store.
    """
    api = FastAPI(title="Runyard", version=services.identity.version, docs_url=None, redoc_url=None)
    problems.register(api, store_silent=store_silent)
    api.add_middleware(Masking, mask=services.secrets.mask)
    api.state.also_wrong = problems.finder(services)
    looks = [Depends(_look())]
    for part in (
        runs.routes(services),
        prompts.routes(services),
        batches.routes(services),
        bulk.routes(services),
        limits.key_routes(services),
        system.notification_routes(services),
        devices.routes(services),
        projects.routes(services),
        projects.statistics_routes(services),
        tracker.routes(services),
        forges.routes(services),
        issue_board.routes(services),
        auto.routes(services),
        parked.routes(services),
        parked.quarantine_routes(services),
        parked.retry_routes(services),
        inbox.routes(services),
        inbox.approval_routes(services),
        review.routes(services),
        limits.routes(services),
        events.routes(services, live, epoch=secrets.token_hex(4)),
        system.routes(services),
        sign_in.api_routes(services.accounts, services.clock, services.browser_rule, site=site),
        audit.routes(services),
        people.routes(services, site=site),
        tokens.routes(services),
    ):
        api.include_router(part, dependencies=looks)
    api.openapi = partial(describe, api)
    api.get("/docs", include_in_schema=False)(lambda: system.docs_page(api.openapi()))
    return api
