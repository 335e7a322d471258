"""What bodies and answers are made of."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from app.domain.moments import iso
from app.domain.starts import HOW, read_start


def _without_nul(text: str) -> str:
    # PostgreSQL stores no NUL, and no argument of a program can hold one
    if "\0" in text:
        raise ValueError("This text contains a NUL character.")
    return text


def _of_task_size(text: str) -> str:
    if len(text.encode()) > MAX_TASK_BYTES:
        raise ValueError(f"This text has more than {MAX_TASK_BYTES // 1024} KiB.")
    return text


MAX_TASK_BYTES = 32 * 1024
Moment = Annotated[datetime, PlainSerializer(iso, return_type=str, when_used="json")]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
NoNul = AfterValidator(_without_nul)
Prose = Annotated[str, NoNul]
TaskText = Annotated[str, NoNul, AfterValidator(_of_task_size)]


def _start_of(value: object) -> int | str:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return read_start(value)
    raise ValueError(HOW)


def _once_each(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


def _line(longest: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=longest)


# seconds, or words for a span or a moment; those without an offset are read by the server's clock
Start = Annotated[
    int | str,
    BeforeValidator(_start_of),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]}),
]
Remark = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), NoNul]
Text = Annotated[str, _line(200), NoNul]
Title = Annotated[str, _line(300), NoNul]
BranchName = Annotated[str, _line(244), NoNul]
Tag = Annotated[str, _line(128), NoNul]
MAX_TAGS = 10
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS), AfterValidator(_once_each)]
Key = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]


class Body(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """An answer: built from rows or plain values."""

    model_config = ConfigDict(from_attributes=True)
