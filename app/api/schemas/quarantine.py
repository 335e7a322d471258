"""What Runyard cannot go on with by itself, over the wire."""

from __future__ import annotations

from pydantic import Field

from app.api.schemas.parts import Answer, Moment


class StuckOut(Answer):
    """Something that was tried, always failed by a fault of Runyard's, and waits for a person."""

    key: str = Field(description="What `retry` takes: the duty, a dot, and what it is about.")
    duty: str
    project_id: str | None = None
    run_id: str | None = None
    tries: int
    because: str = Field(description="The fault, as it was when it was last tried.")
    first_at: Moment
    held_at: Moment | None = None


class QuarantineOut(Answer):
    """All of it, oldest first."""

    items: list[StuckOut]
