"""Routes of tokens for programs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from app.api.http.gate import visitor_of
from app.api.schemas.people import NewToken, NewTokenOut, TokenOut, TokensOut
from app.domain.people.roles import Role, Scope
from app.errors import Forbidden, NotFound
from app.services.container import Services
from app.services.people.tokens import OwnedToken
from app.services.people.visitor import Visitor, may, sentence_for


def routes(services: Services) -> APIRouter:
    """Build `/tokens`."""
    router = APIRouter(tags=["people"])
    desk = services.tokens

    @router.get("/tokens")
    def list_tokens(
        request: Request,
        everybody: Annotated[bool, Query(description="Also those of others.")] = False,
    ) -> TokensOut:
        """Your tokens; with `everybody`, for admins, those of your organisation."""
        by = visitor_of(request)
        if everybody and not may(by, "read_people"):
            raise Forbidden(sentence_for("read_people"))
        return TokensOut(items=[_out(one) for one in desk.all(by, is_of_everybody=everybody)])

    @router.post("/tokens", status_code=201)
    def add(request: Request, body: NewToken) -> NewTokenOut:
        """Make a token; its text is in this answer only."""
        made, text = desk.add(
            visitor_of(request),
            body.name,
            body.scopes,
            services.clock(),
            projects=body.projects,
            expires_at=body.expires_at,
        )
        return NewTokenOut(**_out(made).model_dump(), token=text)

    # before the one of any token, whose path has room for this name too
    @router.delete("/tokens/current", status_code=204)
    def end(request: Request) -> None:
        """Revoke the token of this call, whatever its scopes."""
        by = visitor_of(request)
        if by.csrf is not None or by.access_id is None:
            raise NotFound("This call was not made with a token of a person.")
        desk.revoke(by, by.access_id, services.clock(), is_of_anybody=False)

    @router.delete("/tokens/{token_id}", status_code=204)
    def revoke(request: Request, token_id: str) -> None:
        """Revoke a token by its id, or one of your own by its name."""
        by = visitor_of(request)
        desk.revoke(by, token_id, services.clock(), is_of_anybody=_is_admin(by))

    return router


def _is_admin(person: Visitor) -> bool:
    return person.role is Role.ADMIN


def _out(token: OwnedToken) -> TokenOut:
    row = token.row
    return TokenOut(
        id=row.id,
        name=row.name,
        person=token.person,
        scopes=[Scope(one) for one in row.scopes],
        projects=row.projects,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
