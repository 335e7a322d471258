"""What bodies and answers are made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer, StringConstraints


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[datetime, PlainSerializer(iso, return_type=str, when_used="json")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
BranchName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=244)]
Key = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
MAX_TASK_BYTES = 32 * 1024


class Body(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """An answer: built from rows or plain values."""

    model_config = ConfigDict(from_attributes=True)
