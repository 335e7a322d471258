"""Each call that the clients describe is one of the API's, with the answer that it promises."""

from __future__ import annotations

import inspect
import json
import re
from types import ModuleType
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from app.api import schemas
from app.api.client import (
    batch_calls,
    calls,
    prompt_calls,
    review_calls,
    system_calls,
    tracker_calls,
)
from app.api.client.client import ApiClient
from app.api.client.protocol import Call, change_page, problem_in, sentence_in
from tests.builders.run_samples import project_of
from tests.interface.described import FILES

DOCUMENT = json.loads((FILES / "openapi.json").read_text())
SAMPLES: dict[str, Any] = {
    **dict.fromkeys(("number", "line", "days", "limit", "offset", "run_count", "issue"), 1),
    **{name: {"name": "x"} for name in ("new", "change", "order", "plan")},
    **dict.fromkeys(("enabled", "readable"), True),
    "lines": b"",
    "status": ["failed"],
}


def described(module: ModuleType) -> list[Any]:
    return [
        one
        for name, one in vars(module).items()
        if inspect.isfunction(one) and one.__module__ == module.__name__ and name[0] != "_"
    ]


MODULES = calls, tracker_calls, prompt_calls, review_calls, batch_calls, system_calls
EVERY = [one for module in MODULES for one in described(module)]


def call_of(describe: Any) -> Call[Any]:
    parameters = inspect.signature(describe).parameters.values()
    given = {
        one.name: SAMPLES.get(one.name, "x") for one in parameters if one.kind != one.VAR_KEYWORD
    }
    return describe(**given)


def operation_of(call: Call[Any]) -> dict[str, Any]:
    found = [
        methods[call.method.lower()]
        for path, methods in DOCUMENT["paths"].items()
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), call.path)
        and call.method.lower() in methods
    ]
    assert found, f"{call.method} {call.path} is not in the API"
    return found[0]


@pytest.mark.parametrize("describe", EVERY, ids=lambda one: one.__name__)
def test_a_described_call_is_in_the_api(describe: Any) -> None:
    call = call_of(describe)
    operation = operation_of(call)
    asked = {one.get("name") for one in operation.get("parameters", [])}
    assert set(call.params) <= asked
    answers = [one for code, one in operation["responses"].items() if code < "3"]
    shapes = [one.get("content", {}).get("application/json", {}) for one in answers]
    named = {one.get("schema", {}).get("$ref", "").rpartition("/")[2] for one in shapes}
    assert (call.answer or "") in named
    if call.takes_items:
        assert "items" in vars(schemas)[call.answer].model_fields
    assert (call.body is not None) <= ("requestBody" in operation)


def test_a_call_is_sent_alike_by_both_clients() -> None:
    call = Call("POST", "/runs", body={"task": "x"}, params={"q": "", "limit": 0}, key="k")
    assert call.request("abc", {"User-Agent": "me"}) == {
        "method": "POST",
        "url": "/api/v1/runs",
        "params": {"limit": 0},
        "headers": {"User-Agent": "me", "X-Correlation-Id": "abc", "x-idempotency-key": "k"},
        "json": {"task": "x"},
        "content": None,
    }


def test_of_a_schema_only_the_fields_that_were_set_are_sent() -> None:
    call = calls.change_project("proj_a", schemas.ProjectChange(stall_seconds=None))
    assert call.request("abc", {})["json"] == {"stall_seconds": None}


def test_ids_are_escaped() -> None:
    assert calls.run("../x?y").path == "/runs/..%2Fx%3Fy"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"detail": "No.", "title": "Refused"}', "No."),
        (b'{"title": "Refused"}', "Refused"),
        (b"<html>", "It answered 502."),
        (b"[]", "It answered 502."),
        (b"\xff", "It answered 502."),
        (b"{}", "Something went wrong."),
    ],
)
def test_an_error_becomes_a_sentence(content: bytes, sentence: str) -> None:
    assert sentence_in(problem_in(content, "It answered 502.")) == sentence


@pytest.mark.parametrize(
    ("problem", "page"),
    [
        ({"change": 3, "project_id": "proj_a"}, "/projects/proj_a/changes/3"),
        ({"change": "3", "project_id": "proj_a"}, ""),
        ({"change": 3}, ""),
        ({}, ""),
    ],
)
def test_a_refusal_names_the_change_in_its_way(problem: dict[str, Any], page: str) -> None:
    assert change_page(problem) == page


async def test_pages_share_the_projects_of_equal_answers_until_one_changes() -> None:
    told = [project_of(id="1", name="a")]

    def answer(_: httpx.Request) -> httpx.Response:
        items = [one.model_dump(mode="json") for one in told]
        return httpx.Response(200, json={"items": items})

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://yard") as http:
        first, second = [await ApiClient(http).projects() for _ in range(2)]
        told[0] = project_of(id="1", name="b")
        third = await ApiClient(http).projects()
    assert first[0] is second[0]
    # no page changes another one's list or models
    assert first is not second
    with pytest.raises(ValidationError, match="frozen"):
        first[0].name = "c"
    assert [one.name for one in (first[0], third[0])] == ["a", "b"]
