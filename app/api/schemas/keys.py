"""Idempotency keys over the wire."""

from __future__ import annotations

from pydantic import Field

from app.api.schemas.parts import Answer, Body


class KeyReset(Body):
    """Whose key is reset: keys are a project's own."""

    project_id: str = Field(min_length=1, max_length=80)


class KeyOut(Answer):
    """A key that has been reset, and the run that held it."""

    key: str
    project_id: str
    run_id: str
