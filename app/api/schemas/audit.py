"""The audit over the wire."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.api.schemas.parts import Answer, Moment


class AuditRow(Answer):
    """A deed: who did it, by which way, to what, and what it changed."""

    id: int
    at: Moment
    person: str | None = Field(description="The person's id; null for the loop.")
    role: str | None = Field(description="The person's role at that time.")
    via: str = Field(description="`browser`, `token`, `cli` or `loop`.")
    token: str | None = Field(description="The name of the token that was used.")
    address: str | None = Field(description="Where the call came from.")
    deed: str
    object: str = Field(description="The id of what it was done to, with what is below it.")
    before: dict[str, Any] | None
    after: dict[str, Any] | None = Field(description="A secret's value is `changed`.")
    correlation_id: str
    hash: str = Field(description="SHA-256 over the row and `previous`.")
    previous: str = Field(description="The hash of the row before.")


class AuditOut(Answer):
    """Deeds, newest first."""

    items: list[AuditRow]
    next_cursor: str | None = None
