"""Routes of the audit: pages of rows, and all of them as lines of JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from app.api.http.audit_recorder import FAILED
from app.api.http.gate import visitor_of
from app.api.schemas.parts import InUtc
from app.api.schemas.system import AuditOut, AuditRow
from app.domain.people.roles import Role
from app.domain.people.run_agents import read_token_name
from app.services.container import Services
from app.services.rows import Audit, AuditFilter

NDJSON = "application/x-ndjson"
# rows that an export reads at once
PIECE = 500
BY_LOOP, LOOP = "loop", "Runyard"
# such as of a failed sign-in
UNKNOWN = "Not signed in"
Word = Annotated[str | None, Query(max_length=300)]


def asked_of(
    request: Request,
    person: Word = None,
    deed: Word = None,
    object: Word = None,
    since: Annotated[datetime, InUtc] | None = None,
) -> AuditFilter:
    """Return the filter of a call: operators read what is about their projects, admins all."""
    by = visitor_of(request)
    is_admin, is_operator = by.role is Role.ADMIN, by.role.includes(Role.OPERATOR)
    own = frozenset(one for one, role in by.project_roles.items() if role.includes(Role.OPERATOR))
    projects = None if is_operator else own
    if by.projects is not None:  # of a token
        projects = by.projects if projects is None else by.projects & projects
    return AuditFilter(person, deed, object, since, is_work=not is_admin, projects=projects)


Asked = Annotated[AuditFilter, Depends(asked_of)]


def routes(services: Services) -> APIRouter:
    """Build `GET /audit` and `GET /audit/export`."""
    router = APIRouter(tags=["audit"])

    @router.get("/audit")
    def audit(
        wanted: Asked,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Word = None,
    ) -> AuditOut:
        """Audit rows, newest first; `object` selects one object and everything below it."""
        rows, next_cursor = services.audit.page(wanted, limit=limit, cursor=cursor)
        return AuditOut(items=[row_out(services, row) for row in rows], next_cursor=next_cursor)

    @router.get("/audit/export", response_class=StreamingResponse)
    def export(wanted: Asked) -> StreamingResponse:
        """The same rows without pages: one line of JSON for each, the newest first."""
        name = {"Content-Disposition": 'attachment; filename="audit.ndjson"'}
        # read first: an answer that has begun cannot say that the database is silent
        rows, cursor = services.audit.page(wanted, limit=PIECE, cursor=None)
        lines = _lines(services, wanted, rows, cursor)
        return StreamingResponse(lines, media_type=NDJSON, headers=name)

    return router


def row_out(services: Services, row: Audit) -> AuditRow:
    """Build an audit row with the name of who did it."""
    out = AuditRow.model_validate(row)
    if row.person is not None:
        name = services.directory.name_of(row.person)
        return out.model_copy(update={"who": name, "person_name": name})
    if row.token is not None and (agent := read_token_name(row.token)) is not None:
        return out.model_copy(update={"who": agent.shown, "run_id": agent.run_id})
    if row.via == BY_LOOP:
        return out.model_copy(update={"who": LOOP})
    # agents had shorter names in older rows
    return out.model_copy(update={"who": UNKNOWN if row.deed == FAILED else row.token or UNKNOWN})


def _lines(
    services: Services, wanted: AuditFilter, rows: Sequence[Audit], cursor: str | None
) -> Iterator[str]:
    while True:
        for row in rows:
            yield row_out(services, row).model_dump_json() + "\n"
        if cursor is None:
            return
        rows, cursor = services.audit.page(wanted, limit=PIECE, cursor=cursor)
