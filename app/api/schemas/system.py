"""Quota, doctor and the server itself over the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.schemas.parts import Answer, Body, Moment
from app.api.schemas.runs import Provenance
from app.domain.sandboxes import SandboxLevel


class QuotaOut(Answer):
    """A person's sliding window of accepted runs, or of items of batches."""

    limit: int
    remaining: int
    used: int
    window_seconds: int
    reset_at: Moment | None = None
    retry_after: int | None = None


class ConcurrencyOut(Answer):
    """Open runs of one repository against its limit."""

    active: int
    max: int


class LoginLink(Answer):
    """A link that signs a browser in once."""

    url: str


class SignOut(Body):
    """The sessions to end: this browser's, or those of all browsers."""

    everywhere: bool = False


class SignedOut(Answer):
    """How many sessions have ended."""

    ended: int


class Finding(Answer):
    """One line of doctor, of an agent, the machine or the server.

    `level` is ok, look (`advice` says how to mend it), unknown, or none: not there, nor needed.
    """

    level: Literal["ok", "look", "unknown", "none"]
    check: str
    found: str
    advice: str = ""
    about: str = "machine"


class SettingOut(Answer):
    """One setting with where its value came from."""

    name: str
    value: str
    origin: Literal["environment", "runyard.toml", "default", "command line"]


class DoctorOut(Answer):
    """Everything doctor sees, and when it looked; nothing before its first look."""

    items: list[Finding]
    looked_at: Moment | None = None
    settings: list[SettingOut]


class TroubleOut(Answer):
    """A part that does not work: since when, as far as this server noticed, and what is wrong."""

    part: str
    since: Moment
    what: str


class HealthOut(Answer):
    """How a part is, since when, and what still works.

    `correlation_id` is that of the look which did not reach it.
    """

    part: str
    health: Literal["Healthy", "Degraded", "Unreachable"]
    since: Moment | None = None
    works: str = ""
    correlation_id: str | None = None


class AlertOut(Answer):
    """A warning: of notifications, an agent or a disk, since when, and what is wrong."""

    part: str
    since: Moment
    what: str


class SandboxOut(Answer):
    """The sandbox levels of this machine.

    `default` is the level of new projects, `levels` are those that can be had here; where one
    cannot, `because` and `remedy` say why, and what a person does about it.
    """

    means: str | None = None
    default: SandboxLevel
    levels: list[SandboxLevel]
    because: str = ""
    remedy: str = ""


class SystemOut(Answer):
    """The server itself, for the foot of every page; null where a silent database would know."""

    provenance: Provenance
    base_url: str
    now: Moment
    live_runs: int | None = None
    success_rate: float | None = None
    ended_7d: int | None = None
    # who asks: the name people read, and the id that rows hold
    person: str
    person_id: str
    limits: Literal["table", "redis", "degraded"] = "table"
    # what waits for a person and is of no project
    stuck: int | None = None
    trouble: list[TroubleOut]
    health: list[HealthOut] = Field(default_factory=list)
    alerts: list[AlertOut] = Field(
        default_factory=list,
        description="What a person is warned of: messages that do not get through, agents that "
        "projects need and that are not ready, disks with little room.",
    )
    sandbox: SandboxOut
    # how long a run keeps its idempotency key after the submit: at least, and at most
    key_hold_seconds: int
    key_ttl_seconds: int
