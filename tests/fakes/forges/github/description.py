"""GitHub's own description of its API: what a twin asks and answers is held against it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema

from tests.fakes.forges.people import stamp

_SAID = json.loads(Path(__file__).with_name("description.json").read_text())
_NAMED = _SAID["components"]["schemas"]
# what every operation may answer, described or not
_ANYWHERE = (301, 401, 403, 404, 410, 422, 429, 500, 502, 503)
_PLAIN = {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}}


@cache
def _operations() -> list[tuple[str, re.Pattern[str], dict[str, Any]]]:
    found: list[tuple[str, re.Pattern[str], dict[str, Any]]] = []
    for name, operation in _SAID["operations"].items():
        method, _, path = name.partition(" ")
        # the name of a branch may have slashes
        pattern = re.sub(r"\{\w+\}", "[^/]+", path.replace("/git/ref/{ref}", "/git/ref/.+"))
        found.append((method, re.compile(pattern), operation))
    return found


def operation(method: str, path: str) -> dict[str, Any] | None:
    """Return the description of an operation, None if there is none of it."""
    for known, pattern, found in _operations():
        if known == method and pattern.fullmatch(path):
            return found
    return None


@cache
def _check(schema: str) -> Callable[[Any], Any]:
    whole = {**json.loads(schema), "components": {"schemas": _NAMED}}
    return fastjsonschema.compile(whole)


def faults(method: str, path: str, query: Any, asked: Any, status: int, answer: Any) -> list[str]:
    """Return what is not as described: in the question, or in its answer."""
    known = operation(method, path)
    if known is None:
        return [] if status == 404 else [f"{method} {path} is not described"]
    found = [f"{path}?{name} is unknown" for name in query if name not in known["query"]]
    found += _against(known["body"] if asked else None, asked, f"the body of {method} {path}")
    described = known["answers"].get(str(status))
    if str(status) not in known["answers"]:
        if status not in _ANYWHERE:
            found.append(f"{method} {path} never answers {status}")
        described = _PLAIN
    return found + _against(described, answer, f"the answer {status} of {method} {path}")


def _against(schema: Any, value: Any, what: str) -> list[str]:
    if schema is None or isinstance(value, bytes):
        return []
    try:
        _check(json.dumps(schema))(value)
    except fastjsonschema.JsonSchemaException as problem:
        return [f"{what}: {problem}"[:600]]
    return []


def filled(name: str, given: Any) -> Any:
    """Return a row of a kind with everything that its description demands."""
    return _fill({"$ref": f"#/components/schemas/{name}"}, given)


def filled_answer(method: str, path: str, status: int, given: Any) -> Any:
    """Return an answer with everything that its description demands."""
    known = operation(method, path)
    assert known is not None
    return _fill(known["answers"][str(status)], given)


def _plain(schema: Any) -> Any:
    """Return a schema without references, choices and parts; the first choice is taken."""
    while "$ref" in schema:
        schema = _NAMED[schema["$ref"].rpartition("/")[2]]
    for choice in ("oneOf", "anyOf"):
        options = [one for one in schema.get(choice, ()) if one != {"type": "null"}]
        if options and "properties" not in schema:
            return _plain(options[0])
    if "allOf" in schema:
        parts = [_plain(one) for one in schema["allOf"]]
        required = [name for part in parts for name in part.get("required", ())]
        named = {key: one for part in parts for key, one in part.get("properties", {}).items()}
        return {"type": "object", "required": required, "properties": named}
    return schema


def _may_be_null(schema: Any) -> bool:
    if "$ref" in schema:
        return _may_be_null(_NAMED[schema["$ref"].rpartition("/")[2]])
    kind = schema.get("type")
    return (isinstance(kind, list) and "null" in kind) or {"type": "null"} in schema.get(
        "anyOf", ()
    )


def _fill(schema: Any, given: Any) -> Any:
    schema = _plain(schema)
    if isinstance(given, list):
        return [_fill(schema.get("items", {}), one) for one in given]
    if not isinstance(given, dict):
        return given
    named = schema.get("properties", {})
    needed = {name: _sample(named[name]) for name in schema.get("required", ()) if name in named}
    known = {name: _fill(named.get(name, {}), value) for name, value in given.items()}
    return {**needed, **known}


def _sample(schema: Any) -> Any:
    if _may_be_null(schema):
        return None
    schema = _plain(schema)
    kind = schema.get("type")
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "string":
        by_format = {"date-time": stamp(), "uri": "https://github.test/x", "email": "a@b.test"}
        return by_format.get(schema.get("format", ""), "")
    plain: dict[str, Any] = {"integer": 0, "number": 0, "boolean": False, "array": []}
    return plain[kind] if kind in plain else _fill(schema, {})
