"""Conversion of refusals and faults to HTTP problem responses (RFC 9457), in one place."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, cast

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from app.api.client.client import ApiProblem
from app.api.http.refusal_log import refusals
from app.api.http.request_info import RequestInfo
from app.api.plain import pages
from app.api.schemas.sentences import sentence_of
from app.domain.formatting import iso
from app.errors import (
    Invalid,
    NotFound,
    OutcomeUnknown,
    ProjectBroken,
    RateLimited,
    Refusal,
    StoreUnavailable,
)
from app.logs import correlation
from app.services.container import Services
from app.services.rows import DatabaseSilent, ProjectUnreadable, has_begun_to_write

log = structlog.get_logger()


MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20
MAX_FIELD_NAME = 100
# attribute of `app.state` that holds the finder of further errors in a malformed body
ALSO_WRONG = "also_wrong"


Look = Callable[[str, str, Mapping[str, Any], Mapping[str, Any]], list[dict[str, str]]]


def answer_for(refusal: Refusal) -> JSONResponse:
    """Build the problem response of a refusal, with Retry-After if known."""
    headers: dict[str, str] = {}
    if "retry_after" in refusal.members:
        headers["Retry-After"] = str(refusal.members["retry_after"])
    names = ("limit", "remaining", "reset_at")
    # there is no window to tell of wrong passwords
    if refusal.code == RateLimited.code and refusal.members.keys() >= set(names):
        headers |= window_headers(*(refusal.members[name] for name in names))
    members = {
        name: iso(value) if isinstance(value, datetime) else value
        for name, value in refusal.members.items()
        if name != "retry_after"
    }
    return _problem(refusal.status, refusal.code, refusal.detail, members, headers)


def window_headers(limit: int, remaining: int, reset_at: datetime | None) -> dict[str, str]:
    """Return the rate-limit headers of a window; its reset in seconds since 1970, rounded up."""
    told = {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(remaining)}
    if reset_at is not None:
        told["X-RateLimit-Reset"] = str(math.ceil(reset_at.timestamp()))
    return told


def answer_to(call: RequestInfo, refusal: Refusal) -> Response:
    """Build the response of a refusal: a page for a plain form or a silent store, else JSON."""
    if call.wants_page and call.is_plain_form:
        return pages.refusal_page(refusal)
    if call.wants_page and isinstance(refusal, StoreUnavailable):
        return pages.away_page(refusal)
    return answer_for(refusal)


def _problem(
    status: int, code: str, detail: str, members: dict[str, Any], headers: dict[str, str]
) -> JSONResponse:
    body = {
        "type": f"about:blank#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "error": code,
        "correlation_id": correlation.get(),
        **members,
    }
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


def _sentence(error: dict[str, Any]) -> dict[str, str]:
    # for unreadable JSON, `loc` holds a position instead of a field name
    where = () if error["type"] == "json_invalid" else error["loc"][1:]
    name = ".".join(str(part) for part in where)[:MAX_FIELD_NAME] or "body"
    # names may be anything JSON can express, including lone surrogates
    return {"field": name.encode(errors="replace").decode(), "message": sentence_of(error)}


async def _refused(request: Request, error: Exception) -> Response:
    refusal = cast("Refusal", error)
    log.info("request_refused", method=request.method, path=request.url.path, code=refusal.code)
    return answer_to(RequestInfo.of(request.scope), refusal)


async def _malformed(request: Request, error: Exception) -> JSONResponse:
    malformed = cast("RequestValidationError", error)
    errors = [_sentence(one) for one in malformed.errors()]
    errors += await _also_wrong(request, malformed.body, {one["field"] for one in errors})
    errors = errors[:MAX_ERRORS]
    log.info("request_refused", method=request.method, path=request.url.path, code="malformed")
    detail = " ".join(f"{one['field']}: {one['message']}" for one in errors)
    return answer_for(Invalid(detail, errors=errors))


async def _also_wrong(request: Request, body: Any, named: set[str]) -> list[dict[str, str]]:
    """Return further errors in the well-formed fields of a malformed body, as far as knowable."""
    if not isinstance(body, dict) or (look := getattr(request.app.state, ALSO_WRONG, None)) is None:
        return []
    route, given = request.scope.get("route"), cast("dict[str, Any]", body)
    fit = {name: value for name, value in given.items() if name not in {*named, *_tops(named)}}
    path = getattr(route, "path", "")
    found = await run_in_threadpool(look, request.method, path, request.path_params, fit)
    return [one for one in found if one["field"] not in named]


def _tops(named: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in named}


async def _no_such_route(request: Request, raised: Exception) -> JSONResponse:
    error = cast("HTTPException", raised)
    refusals.record(request.method, request.url.path, str(error.status_code))
    if error.status_code == HTTPStatus.NOT_FOUND:
        return answer_for(NotFound())
    if error.status_code == HTTPStatus.BAD_REQUEST:
        # FastAPI raises this for content that its JSON parser cannot read
        return answer_for(Invalid.field("body", "This content cannot be read as JSON."))
    phrase = HTTPStatus(error.status_code).phrase
    code = phrase.lower().replace(" ", "_")
    return _problem(error.status_code, code, str(error.detail), {}, dict(error.headers or {}))


async def no_such_page(request: Request, _: Exception) -> Response:
    """Answer an unknown path: a page to a person, a problem to a program."""
    refusals.record(request.method, request.url.path, "404")
    if RequestInfo.of(request.scope).wants_page:
        return pages.lost_page()
    return answer_for(NotFound())


def is_silence(error: object) -> bool:
    """Return True if the database did not answer, directly or in an API call of a page."""
    if isinstance(error, ApiProblem):
        return error.code == StoreUnavailable.code
    return isinstance(error, DatabaseSilent)


def refusal_of_silence(error: Exception) -> StoreUnavailable:
    """Log that the database did not answer and build the refusal for it.

    An OutcomeUnknown once writing has begun, else a StoreUnavailable.
    """
    log.warning("database_did_not_answer", because=error)
    sentence = getattr(error, "sentence", None)
    if not has_begun_to_write():
        return StoreUnavailable(sentence, retry_after=2)
    # writing had begun, so never claim that nothing was changed; name a lasting fault anyway
    lasts = getattr(error, "lasts", False)
    return OutcomeUnknown(
        f"{sentence} Check whether it was done." if lasts else None, retry_after=2
    )


async def _store_silent(request: Request, error: Exception) -> Response:
    return answer_to(RequestInfo.of(request.scope), refusal_of_silence(error))


async def _project_unreadable(request: Request, error: Exception) -> Response:
    sentence = cast("ProjectUnreadable", error).sentence
    return await _refused(request, ProjectBroken(f"This project cannot be read. {sentence}"))


def fault_answer() -> JSONResponse:
    """Build the response to an internal fault: only the correlation id, which leads to the log."""
    detail = "Something went wrong in Runyard. The log has the details under this correlation id."
    return _problem(500, "fault", detail, {}, {})


def register(app: FastAPI, *, store_silent: type[Exception]) -> None:
    """Register handlers that answer refusals, malformed requests and silent databases."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(store_silent, _store_silent)
    app.add_exception_handler(ProjectUnreadable, _project_unreadable)
    app.add_exception_handler(HTTPException, _no_such_route)


def finder(services: Services) -> Look:
    """Build a check of the well-formed fields of a body, by method, route and path parameters."""

    def look(
        method: str, route: str, path: Mapping[str, Any], fit: Mapping[str, Any]
    ) -> list[dict[str, str]]:
        try:
            wrong = _wrong(services, f"{method} {route}", path, fit)
        except Refusal:
            # without access to the project, or to its origin, only malformed fields are reported
            return []
        return [{"field": name, "message": sentence} for name, sentence in wrong.items()]

    return look


def _wrong(
    services: Services, call: str, path: Mapping[str, Any], fit: Mapping[str, Any]
) -> dict[str, str]:
    match call:
        case "POST /runs":
            project_id, words = fit.get("project_id"), _words(fit)
            if not isinstance(project_id, str):
                return {}
            return services.accept.wrong(
                project_id, words.get("agent"), words.get("target_framework"), words.get("branch")
            )
        case "POST /projects":
            return services.projects.wrong(None, _words(fit))
        case "PATCH /projects/{project_id}":
            project = services.projects.find(str(path["project_id"]))
            return services.projects.wrong(project, _words(fit))
        case _:
            return {}


def _words(fit: Mapping[str, Any]) -> dict[str, str]:
    """Return the string members, stripped as the schemas do."""
    return {name: value.strip() for name, value in fit.items() if isinstance(value, str)}
