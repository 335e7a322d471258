"""Assembly of the API application: middleware, error handlers, routers, OpenAPI document."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

from fastapi import Depends, FastAPI

from app.api.http import problems
from app.api.http.dependencies import refuse_unknown_words
from app.api.http.duplicate_names import refuse_doubled_names
from app.api.http.masking import Masking
from app.api.http.openapi import describe
from app.api.live import LiveStream
from app.api.routes import (
    auto,
    batches,
    bulk,
    events,
    limits,
    parked,
    projects,
    runs,
    sign_in,
    system,
    tracker,
)


def build_api(
    services: Any, live: LiveStream, *, port: int, store_silent: type[Exception]
) -> FastAPI:
    """Build the application mounted at `/api/v1`.

    `store_silent` is the exception that is answered as an unavailable store.
    """
    api = FastAPI(title="Runyard", version=services.identity.version, docs_url=None, redoc_url=None)
    problems.register(api, store_silent=store_silent)
    api.add_middleware(Masking, mask=services.secrets.mask)
    api.state.also_wrong = problems.finder(services)
    looks = [Depends(refuse_unknown_words), Depends(refuse_doubled_names)]
    for part in (
        runs.routes(services),
        batches.routes(services),
        bulk.routes(services),
        limits.key_routes(services),
        system.notification_routes(services),
        projects.routes(services),
        projects.statistics_routes(services),
        tracker.routes(services),
        auto.routes(services),
        parked.routes(services),
        parked.quarantine_routes(services),
        parked.retry_routes(services),
        limits.routes(services),
        events.routes(services, live, epoch=secrets.token_hex(4)),
        system.routes(services),
        sign_in.api_routes(services.accounts, services.clock, services.browser_rule, port=port),
        system.audit_routes(services),
    ):
        api.include_router(part, dependencies=looks)
    api.openapi = partial(describe, api)
    api.get("/docs", include_in_schema=False)(lambda: system.docs_page(api.openapi()))
    return api
