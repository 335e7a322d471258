"""Schemas of usage limits."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.schemas.parts import Answer, Body, KeyedBody, Moment


class ResumeOrder(KeyedBody):
    """The body of `POST /runs/{id}/resume`."""


class HoldLift(Body):
    """The body of `POST /quota/accounts/lift`; without a family, the hold of every model."""

    agent: str = Field(min_length=1, max_length=80)
    family: str = Field(default="", max_length=80)


class AccountHoldOut(Answer):
    """An agent's account that nothing is launched on; `until` null: until a person lifts it.

    `evidence` is what the agent wrote, `run_id` the run that met the limit. `waiting` counts the
    runs that are queued for it or wait to be resumed.
    """

    agent: str
    family: str
    stand: Literal["held", "due", "probing", "easing"]
    since: Moment
    until: Moment | None
    evidence: str
    sentence: str
    run_id: str
    probe_run_id: str | None = None
    hits: int
    waiting: int


class AccountHolds(Answer):
    """Every account that is held, oldest first."""

    items: list[AccountHoldOut]


class UsageLimit(Answer):
    """The usage limit that a project's agent is at."""

    agent: str
    family: str
    until: Moment | None
