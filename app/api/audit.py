"""The audit over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from app.api.schemas.audit import AuditOut, AuditRow
from app.api.schemas.parts import InUtc
from app.services.plane import Services
from app.services.rows import AuditFilter

Word = Annotated[str | None, Query(max_length=300)]


def audit_routes(services: Services) -> APIRouter:
    """`GET /audit`."""
    router = APIRouter(tags=["audit"])

    @router.get("/audit")
    def audit(
        person: Word = None,
        deed: Word = None,
        object: Word = None,
        since: Annotated[datetime, InUtc] | None = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Word = None,
    ) -> AuditOut:
        """List audit rows, newest first; `object` finds one thing and what is below it."""
        wanted = AuditFilter(person, deed, object, since)
        rows, next_cursor = services.audit.page(wanted, limit=limit, cursor=cursor)
        return AuditOut(
            items=[AuditRow.model_validate(row) for row in rows], next_cursor=next_cursor
        )

    return router
