"""Validation messages: always Runyard's sentences, never a library's."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from app.api import schemas
from app.api.schemas.sentences import sentence_of

LIBRARY = re.compile(
    r"Input should|Field required|Extra inputs|valid |parse|should have|Value error|List should"
)
JUNK: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, 10**30, "", " ", "x", "x" * 5000, "\0", [], ["", 1], [[]] * 200),
    *({}, {"a": 1}, "2026-99-99", float("inf"), "1e999"),
)
BODIES = [
    one
    for _, one in inspect.getmembers(schemas, inspect.isclass)
    if issubclass(one, schemas.Body) and one is not schemas.Body
]


@pytest.mark.parametrize("body", BODIES, ids=lambda one: one.__name__)
def test_no_body_is_refused_in_a_librarys_words(body: type[BaseModel]) -> None:
    said = set()
    for junk in JUNK:
        given = {field.alias or name: junk for name, field in body.model_fields.items()}
        try:
            body.model_validate({**given, "no_such_field": junk})
        except ValidationError as problem:
            said |= {sentence_of(error) for error in problem.errors()}
    assert "There is no such field." in said
    assert [sentence for sentence in said if LIBRARY.search(sentence)] == []
    assert [sentence for sentence in said if not sentence.endswith(".")] == []


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ({"type": "int_parsing", "msg": "x"}, "Must be a whole number."),
        ({"type": "int_from_float", "msg": "x"}, "Must be a whole number."),
        ({"type": "greater_than_equal", "msg": "x", "ctx": {"ge": 1}}, "Must be 1 or more."),
        (
            {"type": "enum", "msg": "x", "ctx": {"expected": "'quick', 'standard' or 'deep'"}},
            "Must be one of: quick, standard, deep.",
        ),
        ({"type": "something_new", "msg": "x"}, "This value is not usable here."),
        ({"type": "too_long", "msg": "x"}, "This value is not usable here."),
    ],
)
def test_an_error_is_told_so_that_a_person_knows_what_to_write(
    error: dict[str, Any], sentence: str
) -> None:
    assert sentence_of(error) == sentence
