"""Schemas of usage limits."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.schemas.parts import Answer, Body, KeyedBody, Moment


class ResumeOrder(KeyedBody):
    """The body of `POST /runs/{id}/resume`."""


class HoldLift(Body):
    """The body of `POST /quota/accounts/lift`; without a family, all models' hold is lifted."""

    agent: str = Field(min_length=1, max_length=80)
    family: str = Field(default="", max_length=80)


class AccountHoldOut(Answer):
    """An agent's account at its usage limit; with `until` null it is held until a person lifts it.

    `evidence` is the agent's own message, `run_id` the run that met the limit, in `project_id`; all
    are empty for a run that you do not see. `waiting` counts the runs that are queued for the
    account or wait to be resumed.
    """

    agent: str
    family: str
    stand: Literal["held", "due", "probing", "easing"]
    since: Moment
    until: Moment | None
    evidence: str
    sentence: str
    run_id: str
    project_id: str = ""
    probe_run_id: str | None = None
    hits: int
    waiting: int


class AccountHolds(Answer):
    """All held accounts, oldest first."""

    items: list[AccountHoldOut]


class UsageLimit(Answer):
    """The usage limit that a project's agent has reached."""

    agent: str
    family: str
    until: Moment | None
