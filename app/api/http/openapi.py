"""The OpenAPI document: FastAPI's, plus what every response has in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from app.api.http.problems import MEDIA_TYPE
from app.api.schemas import LogEntry
from app.errors import Refusal

SCHEMAS = "#/components/schemas/"
METHODS = frozenset({"get", "post", "put", "patch", "delete"})
_REFUSED = {MEDIA_TYPE: {"schema": {"$ref": f"{SCHEMAS}Problem"}}}
# for calls that need a browser session: see `dependencies.require_browser`
IN_A_BROWSER: dict[int | str, dict[str, Any]] = {
    403: {
        "description": "`forbidden`: while a project is unsandboxed, the token alone is not "
        "enough; `page` is where a person does this in a browser.",
        "content": _REFUSED,
    }
}
_CORRELATION = {
    "description": "Ties the request to its log lines; a request may bring its own.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
}


def describe(api: FastAPI) -> dict[str, Any]:
    """Return the whole document; built once, then cached in `api`."""
    if api.openapi_schema is None:
        document = FastAPI.openapi(api)
        parts = document.setdefault("components", {})
        parts.setdefault("schemas", {}).update(_lines(), Problem=_problem())
        parts["headers"] = {"X-Correlation-Id": _CORRELATION}
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        document["servers"] = [{"url": "/api/v1"}]
        for calls in document["paths"].values():
            for method in METHODS & set(calls):
                _complete(calls[method])
        api.openapi_schema = document
    return api.openapi_schema


def _complete(call: dict[str, Any]) -> None:
    answers = call["responses"]
    answers.pop("422", None)  # FastAPI's own 422 form is never sent
    answers["4XX"] = {"description": "Refused: nothing was changed.", "content": _REFUSED}
    answers["5XX"] = {"description": "A fault, or something did not answer.", "content": _REFUSED}
    for answer in answers.values():
        answer.setdefault("headers", {})["X-Correlation-Id"] = {
            "$ref": "#/components/headers/X-Correlation-Id"
        }


def _lines() -> dict[str, Any]:
    """Return the schemas of NDJSON lines, whose bodies FastAPI does not see."""
    _, told = models_json_schema([(LogEntry, "serialization")], ref_template=SCHEMAS + "{model}")
    return told["$defs"]


def _problem() -> dict[str, Any]:
    codes = sorted({refusal.code for refusal in _refusals(Refusal)} | {"fault"})
    text = {"type": "string"}
    members = {
        "type": text,
        "title": text,
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence for people."},
        "error": {"type": "string", "description": f"One of {', '.join(codes)}."},
        "correlation_id": text,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": text, "message": text},
                "required": ["field", "message"],
            },
        },
    }
    return {
        "title": "Problem",
        "description": "RFC 9457; some refusals have further members.",
        "type": "object",
        "properties": members,
        "required": [name for name in members if name != "errors"],
        "additionalProperties": True,
    }


def _refusals(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for one in kind.__subclasses__():
        yield one
        yield from _refusals(one)
