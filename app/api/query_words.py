"""The words of a query: one that a call does not know is refused, so that nobody believes in it."""

from __future__ import annotations

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute

from app.api.call import SAFE_METHODS
from app.errors import Invalid

MAX_NAMED = 20
MAX_WORD = 100


async def refuse_unknown_words(request: Request) -> None:
    """Refuse what a call that only reads does not know, each word by name. Raises Invalid."""
    given = set(request.query_params)
    if not given or request.method not in SAFE_METHODS:
        return
    known = _known_to(request.scope["route"])
    unknown = sorted(given - known)
    if not unknown:
        return
    message = f"Unknown query word; this call takes {', '.join(sorted(known)) or 'none'}."
    errors = [{"field": word[:MAX_WORD], "message": message} for word in unknown[:MAX_NAMED]]
    raise Invalid(f"{errors[0]['field']}: {message}", errors=errors)


def _known_to(route: APIRoute) -> set[str]:
    given = get_flat_params(route.dependant)
    return {one.alias for one in given if isinstance(one.field_info, Query)}
