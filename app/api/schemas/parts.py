"""Base models and field types shared by all schemas."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from app.domain.formatting import iso
from app.domain.json.objects import is_object
from app.domain.starts import HOW, read_start
from app.errors import KeyMismatch

MAX_TASK_BYTES = 32 * 1024
KEY_HEADER = "x-idempotency-key"
Moment = Annotated[datetime, PlainSerializer(iso, return_type=str, when_used="json")]
# rounded to six decimals, to hide errors of floating-point sums
Dollars = Annotated[float, PlainSerializer(lambda cost: round(cost, 6), return_type=float)]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
MAX_TAGS = 10
Key = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]


def _without_nul(text: str) -> str:
    # PostgreSQL cannot store NUL, and no program argument can contain it
    if "\0" in text:
        raise ValueError("This text contains a NUL character.")
    return text


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except (OverflowError, ValueError) as problem:
        # at the edge of the calendar, the conversion leaves the range of datetime
        raise ValueError("There is no such time.") from problem


def _of_task_size(text: str) -> str:
    if len(text.encode()) > MAX_TASK_BYTES:
        raise ValueError(f"This text has more than {MAX_TASK_BYTES // 1024} KiB.")
    return text


NoNul = AfterValidator(_without_nul)
InUtc = AfterValidator(_in_utc)
Prose = Annotated[str, NoNul]
TaskText = Annotated[str, NoNul, AfterValidator(_of_task_size)]


def _start_of(value: object) -> int | str:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return read_start(value)
    raise ValueError(HOW)


def _once_each(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


def _with_header_name(schema: dict[str, Any]) -> None:
    known = schema["properties"]
    known[KEY_HEADER] = known["x_idempotency_key"] | {"title": "The same, by the header's name"}


def _line(longest: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=longest)


# seconds, or a span or a time in words; one without an offset uses the server's time zone
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
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS), AfterValidator(_once_each)]


class Body(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class KeyedBody(Body):
    """A body that may hold an idempotency key, as `x_idempotency_key` or under its header's name.

    Raises KeyMismatch if it contains two different ones.
    """

    model_config = ConfigDict(json_schema_extra=_with_header_name)

    x_idempotency_key: Key | None = None

    @model_validator(mode="before")
    @classmethod
    def _take_either_name(cls, given: Any) -> Any:
        if not is_object(given) or KEY_HEADER not in given:
            return given
        rest = dict(given)
        by_header, key = rest.pop(KEY_HEADER), rest.get("x_idempotency_key")
        if None not in (by_header, key) and by_header != key:
            raise KeyMismatch
        return {**rest, "x_idempotency_key": by_header if key is None else key}


class Answer(BaseModel):
    """An answer: built from rows or plain values."""

    model_config = ConfigDict(from_attributes=True)
