"""Helpers shared by routes: requester, audit deed, browser check, run order, odd names."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Header, Request, Response
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute

from app.api.http.gate import visitor_of
from app.api.http.request_info import SAFE_METHODS
from app.api.schemas import RunOrder, RunOut, RunWishes
from app.domain.words import Trigger
from app.errors import BrowserNeeded, Forbidden, Invalid, KeyMismatch
from app.logs import correlation
from app.services.container import Services
from app.services.people.visitor import require, sentence_for
from app.services.rows import Deed
from app.services.runs.requests import Accepted, Requester, RunRequest

Key = Annotated[str | None, Header(pattern=r"^[\x21-\x7e]{1,255}$")]
# of pages: how many items, and where the page before ended
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=300)]


TWICE = "This is given twice."
MAX_NAMED = 20
MAX_WORD = 100


def requester_of(
    services: Services, request: Request, *keys: str | None, trigger: Trigger | None = None
) -> Requester:
    """Build the requester of a run from all given idempotency keys. Raises KeyMismatch."""
    visitor = visitor_of(request)
    return Requester(
        person_id=visitor.person_id,
        trigger=trigger or _trigger(request, is_browser=visitor.csrf is not None),
        key=_one_key(keys),
        correlation_id=correlation.get(),
        provenance=services.identity.as_dict(),
    )


def audited_act(
    request: Request,
    what: str,
    because: str,
    *,
    project_id: str | None = None,
    run_id: str | None = None,
) -> Deed:
    """Build the audit deed of this request."""
    person_id = visitor_of(request).person_id
    return Deed(person_id, what, because, correlation.get(), project_id, run_id)


def require_role(services: Services, request: Request, deed: str, project_id: str | None) -> None:
    """Raise Forbidden if the person of this request may not do this in a project.

    For what the path alone does not show: a project in the body, or settings that are code.
    """
    visitor = visitor_of(request)
    if not visitor.may_all:
        require(visitor, deed, services.clock(), project_id)


def require_role_in_all(
    services: Services, request: Request, deed: str, project_ids: Iterable[str | None]
) -> None:
    """Raise Forbidden unless the person of this request may do this in all these projects.

    None stands for an unknown one: that takes the role in the organisation, and no token that is
    limited to projects.
    """
    for project_id in project_ids:
        if project_id is None and visitor_of(request).projects is not None:
            raise Forbidden(sentence_for(deed))
        require_role(services, request, deed, project_id)


def require_browser(services: Services, request: Request, path: str) -> None:
    """Raise BrowserNeeded for a caller with the token while agents can read that token.

    `path` is the page where a person can do the same.
    """
    if visitor_of(request).csrf is None and services.browser_rule.holds():
        raise BrowserNeeded(page=own_address(request, path))


def own_address(request: Request, path: str) -> str:
    """Return the absolute URL of a page, under the host name of this request."""
    return f"{request.url.scheme}://{request.headers['host']}{quote(path, safe='/?=')}"


def switch_auto(services: Services, request: Request, project_id: str, *, enabled: bool) -> None:
    """Switch a project's auto loop on or off and audit it. Raises a Refusal."""
    word = "on" if enabled else "off"
    deed = audited_act(request, "auto", f"auto runs switched {word}", project_id=project_id)
    services.afk.set_auto(project_id, deed, services.clock(), enabled=enabled)


def set_accepted_headers(response: Response, accepted: Accepted) -> None:
    """Set the response headers for an accepted run: 201, or 200 if its key already created it."""
    if accepted.replayed:
        response.status_code = 200
    set_created_headers(response, f"/runs/{accepted.run.id}", replayed=accepted.replayed)


def accepted_answer(accepted: Accepted, out: RunOut) -> Response:
    """Build the response for an accepted run: FastAPI would validate the model a second time."""
    answer = Response(out.model_dump_json(), status_code=201, media_type="application/json")
    set_accepted_headers(answer, accepted)
    return answer


def set_created_headers(response: Response, address: str, *, replayed: bool) -> None:
    """Set the address of what a call created; `replayed` if its key had created it before."""
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    response.headers["Location"] = address


def _one_key(given: tuple[str | None, ...]) -> str | None:
    keys = {key for key in given if key is not None}
    if len(keys) > 1:
        raise KeyMismatch
    return keys.pop() if keys else None


def _trigger(request: Request, *, is_browser: bool) -> Trigger:
    by_hand = is_browser or request.headers.get("User-Agent", "").startswith("runyard-cli")
    return Trigger.MANUAL if by_hand else Trigger.API


class KnownWords:
    """The query parameters of each route of one API; called for each request."""

    def __init__(self) -> None:
        # by route, which lives as long as its API
        self._known: dict[int, frozenset[str]] = {}

    async def __call__(self, request: Request) -> None:
        """Refuse unknown query parameters of a read-only call, each by name. Raises Invalid."""
        given = set(request.query_params)
        if not given or request.method not in SAFE_METHODS:
            return
        known = self._words_of(request.scope["route"])
        unknown = sorted(given - known)
        if not unknown:
            return
        message = f"Unknown query word; this call takes {', '.join(sorted(known)) or 'none'}."
        errors = [{"field": word[:MAX_WORD], "message": message} for word in unknown[:MAX_NAMED]]
        raise Invalid(f"{errors[0]['field']}: {message}", errors=errors)

    def _words_of(self, route: APIRoute) -> frozenset[str]:
        known = self._known.get(id(route))
        if known is None:
            given = get_flat_params(route.dependant)
            known = frozenset(one.alias for one in given if isinstance(one.field_info, Query))
            self._known[id(route)] = known
        return known


def read_json(text: bytes) -> tuple[Any, list[str]]:
    """Return the parsed JSON and the sorted names that occur twice within one of its objects.

    Raises ValueError, RecursionError.
    """
    doubled: set[str] = set()

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            for name, _ in pairs:
                (doubled if name in seen else seen).add(name)
        return found

    told = json.loads(text.decode(), object_pairs_hook=note)
    return told, sorted(name.encode(errors="replace").decode() for name in doubled)


async def refuse_doubled_names(request: Request) -> None:
    """Refuse a JSON body with duplicate names. Raises Invalid.

    Lines of NDJSON are checked one by one where they are parsed.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        return
    try:
        _, doubled = read_json(await request.body())
    except (ValueError, RecursionError):
        return  # malformed JSON is reported by the validation that follows
    if doubled:
        raise Invalid.fields({name[:MAX_WORD]: TWICE for name in doubled[:MAX_NAMED]})


def order_of(wishes: RunWishes, project_id: str) -> RunRequest:
    """Build the order of a run for this project."""
    return RunRequest(
        project_id=project_id,
        depth=wishes.depth_level,
        framework=wishes.target_framework,
        branch=wishes.branch,
        issue=wishes.issue,
        task=wishes.task,
        template=wishes.template,
        agent=wishes.agent,
        model=wishes.model,
        delivers=wishes.delivers,
        delay_seconds=wishes.delay if isinstance(wishes.delay, int) else None,
        starts_on=wishes.delay if isinstance(wishes.delay, str) else None,
        ttl_seconds=wishes.ttl,
        tags=tuple(wishes.tags),
    )


def order_of_run(body: RunOrder) -> RunRequest:
    """Build the order of a single run."""
    return replace(order_of(body, body.project_id), pr_number=body.pr_number)
