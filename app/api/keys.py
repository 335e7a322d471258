"""Idempotency keys over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from app.api.gate import visitor_of
from app.api.schemas import KeyOut, KeyReset
from app.services.plane import Services

KeyInPath = Annotated[str, Path(pattern=r"^[\x21-\x7e]{1,255}$")]


def key_routes(services: Services) -> APIRouter:
    """Everything below `/idempotency-keys`."""
    router = APIRouter(tags=["runs"])

    @router.post("/idempotency-keys/{key:path}/reset")
    def reset(key: KeyInPath, body: KeyReset, request: Request) -> KeyOut:
        """Take your own key from its run, whatever its state: the key's next use is a new run.

        The run itself goes on as it is.
        """
        project = services.projects.find(body.project_id)
        person_id = visitor_of(request).person_id
        run = services.keys.reset(project.id, key, person_id, services.clock())
        return KeyOut(key=key, project_id=project.id, run_id=run.id)

    return router
