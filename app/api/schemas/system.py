"""Schemas of quota, doctor, retention, audit, notifications and the server."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.api.schemas.parts import Answer, Body, Moment
from app.api.schemas.runs import Provenance
from app.domain.sandbox.levels import SandboxLevel


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
    # the caller: the name that people read, and the id that rows hold
    person: str
    person_id: str
    limits: Literal["table", "redis", "degraded"] = "table"
    # quarantined items that belong to no project
    stuck: int | None = None
    trouble: list[TroubleOut]
    health: list[HealthOut] = Field(default_factory=list[HealthOut])
    alerts: list[AlertOut] = Field(
        default_factory=list[AlertOut],
        description="What a person is warned of: messages that do not get through, agents that "
        "projects need and that are not ready, disks with little room.",
    )
    sandbox: SandboxOut
    # minimum and maximum time in seconds that a run keeps its idempotency key after the submit
    key_hold_seconds: int
    key_ttl_seconds: int


class LeavingOut(Answer):
    """A log or a copy that goes; `because` is age or size, `goes_at` from when on it does."""

    run_id: str
    ended_at: Moment
    bytes: int
    because: Literal["age", "size"]
    goes_at: Moment


class CopiesOut(Answer):
    """Working copies of runs that are over, as the last round saw them.

    `bytes` are of those that have been measured. `staying` are due, too, and hold work that is
    nowhere else. `leaving` names the first of those that go, once shown for an hour;
    `looked_at` is null before the first round.
    """

    kept: int
    bytes: int
    unmeasured: int
    staying: int
    staying_bytes: int
    leaving_copies: int
    leaving_bytes: int
    next_at: Moment | None
    looked_at: Moment | None
    leaving: list[LeavingOut]


class RetentionOut(Answer):
    """Which logs are kept on disk and what goes next, once it was shown for an hour.

    `leaving` names the first of them. `keep_days` and `keep_gb` are 0 where nothing goes by them;
    `next_at` is when the oldest log that stays for now comes of age.
    """

    keep_days: int
    keep_gb: float
    kept_runs: int
    kept_bytes: int
    leaving_runs: int
    leaving_bytes: int
    next_at: Moment | None
    leaving: list[LeavingOut]
    copies: CopiesOut


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


class ReceiverOut(Answer):
    """A receiver, what waits for it, and how the last attempt went.

    `problem` says why its address cannot be used; `last_taken` is null before the first attempt.
    """

    receiver: str
    problem: str | None
    pending: int
    next_at: Moment | None
    last_at: Moment | None
    last_taken: bool | None
    last_because: str | None


class NotificationsOut(Answer):
    """Notification receivers and settings; empty strings where unset, no items while off."""

    items: list[ReceiverOut]
    kinds: list[str]
    quiet_hours: str
    digest_at: str
    zone: str


class TriedOut(Answer):
    """Whether a receiver took the message, and why not."""

    receiver: str
    taken: bool
    because: str | None


class NotificationTest(Answer):
    """How a message to try it went, in the order of the setting."""

    items: list[TriedOut]


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
