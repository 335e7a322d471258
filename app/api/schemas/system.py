"""Schemas of quota, doctor, retention, audit, notifications and the server."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from app.api.schemas.inbox import InboxCounts
from app.api.schemas.parts import Answer, Body, Moment, NoNul
from app.api.schemas.runs import Provenance
from app.domain.notifications import Kind
from app.domain.people.roles import Role
from app.domain.quota import LimitOf
from app.domain.sandbox.levels import SandboxLevel

# the digest is about all projects: nobody chooses it for one
ChosenKind = Literal[Kind.NEEDS_YOU, Kind.DELIVERED, Kind.FAILED, Kind.PAUSED]


class QuotaOut(Answer):
    """A person's sliding window of accepted runs or of batch items.

    `limit_of` says whether an admin set the limit for the person or the role, or it is the
    server's. `reset_at` is when the oldest one leaves the window, `free_at` when the next one fits;
    both are null if there is nothing to wait for.
    """

    limit: int
    remaining: int
    used: int
    window_seconds: int
    limit_of: LimitOf = LimitOf.SERVER
    reset_at: Moment | None = None
    free_at: Moment | None = None
    retry_after: int | None = None


class ConcurrencyOut(Answer):
    """Open runs of a repository and its limit."""

    active: int
    max: int


class LoginLink(Answer):
    """A link that signs in a browser once."""

    url: str


class SignOut(Body):
    """The sessions to end: this browser's, or those of all browsers."""

    everywhere: bool = False


class SignedOut(Answer):
    """The number of sessions that ended."""

    ended: int


class Finding(Answer):
    """A finding of doctor about an agent, the machine or the server.

    `level` is ok, look (`advice` says how to fix it), unknown, or none: absent and not needed.
    """

    level: Literal["ok", "look", "unknown", "none"]
    check: str
    found: str
    advice: str = ""
    about: str = "machine"


class SettingOut(Answer):
    """A setting, its value, and the source of that."""

    name: str
    value: str
    origin: Literal["environment", "runyard.toml", "default", "command line"]


class DoctorOut(Answer):
    """Doctor's findings and when it checked; empty before the first check."""

    items: list[Finding]
    looked_at: Moment | None = None
    settings: list[SettingOut]


class TroubleOut(Answer):
    """A part that does not work: the problem, and since when this server has noticed it."""

    part: str
    since: Moment
    what: str


class HealthOut(Answer):
    """The health of a part, since when, and what still works.

    `correlation_id` is that of the failed check.
    """

    part: str
    health: Literal["Healthy", "Degraded", "Unreachable"]
    since: Moment | None = None
    works: str = ""
    correlation_id: str | None = None


class AlertOut(Answer):
    """A warning about notifications, an agent or a disk: the problem, and since when."""

    part: str
    since: Moment
    what: str


class SandboxOut(Answer):
    """The sandbox levels of this machine.

    `default` is the level of new projects, `levels` are those that work here; if one does not,
    `because` and `remedy` say why and what a person can do about it.
    """

    means: str | None = None
    default: SandboxLevel
    levels: list[SandboxLevel]
    because: str = ""
    remedy: str = ""


class PreferencesOut(Answer):
    """The choices of a person for all browsers, null where each browser decides for itself."""

    look: str | None = None
    time_zone: str | None = None


class SystemOut(Answer):
    """The server's own state, for the footer of all pages.

    Fields are null while the database does not answer.
    """

    provenance: Provenance
    base_url: str
    installable: bool = Field(
        description="True where the pages have a public https address: browsers can install them, "
        "and be notified."
    )
    identity_provider: str | None = Field(
        default=None, description="The host at which people sign in by OpenID Connect."
    )
    now: Moment
    live_runs: int | None = None
    success_rate: float | None = None
    ended_7d: int | None = None
    # the caller: the name that people read, and the id that rows hold
    person: str
    person_id: str
    has_password: bool = Field(
        default=False, description="Whether you can sign in again with a password."
    )
    role: Role
    preferences: PreferencesOut | None = Field(
        default=None, description="What you chose for all browsers; null without an account."
    )
    organisation: str = Field(description="The name of your organisation.")
    organisation_id: str
    may: list[str] = Field(description="The deeds that you may do in the organisation.")
    agents: list[str] = Field(
        default_factory=list[str],
        description="The only agents that you may start; empty for any.",
    )
    may_in: dict[str, list[str]] = Field(
        description="The same by project id, for projects where your role is a higher one."
    )
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
    inbox: InboxCounts | None = None
    inbox_mark: str | None = Field(
        default=None, description="Another once an item comes into the inbox, goes or waits anew."
    )
    unread: int | None = Field(
        default=None, description="Items of the inbox that you have not read; null while unknown."
    )
    sandbox: SandboxOut
    # minimum and maximum time in seconds that a run keeps its idempotency key after the submit
    key_hold_seconds: int
    key_ttl_seconds: int


class LeavingOut(Answer):
    """A log or copy due for removal from `goes_at` on; `because` is age or size."""

    run_id: str
    ended_at: Moment
    bytes: int
    because: Literal["age", "size"]
    goes_at: Moment


class CopiesOut(Answer):
    """Working copies of ended runs, as of the last check.

    `bytes` are of those that have been measured. `staying` are overdue too, but hold work that
    exists nowhere else. `leaving` names the first of those due, once shown for an hour; `looked_at`
    is null before the first check.
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
    """The logs on disk, and those due for removal once they have been shown for an hour.

    `leaving` names the first of them. `keep_days` and `keep_gb` are 0 if there is no such limit;
    `next_at` is when the oldest remaining log reaches its limit.
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
    """An audited deed: who did it, how, to what, and what it changed."""

    id: int
    at: Moment
    who: str = Field(
        default="",
        description="The person's name today, `claude · run …b7f3k1` for the agent of a run, or "
        "`Runyard` for the loop.",
    )
    person: str | None = Field(description="The person's id; null for an agent and the loop.")
    person_name: str | None = Field(default=None, description="The person's name today.")
    run_id: str | None = Field(default=None, description="The run whose agent did it.")
    role: str | None = Field(description="The person's role at that time.")
    via: str = Field(description="`browser`, `token`, `cli` or `loop`.")
    token: str | None = Field(
        description="The name of the token that was used; `claude · run_01…` is a run's."
    )
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
    """A receiver, its waiting messages, and the outcome of its last attempt.

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


class SubscriptionOut(Answer):
    """The kinds of notifications that you chose for a project, null for all without a choice."""

    project_id: str | None
    project_name: str
    kinds: list[Kind]


class SubscriptionsOut(Answer):
    """Your choices; `kinds` hold where there is none."""

    items: list[SubscriptionOut]
    kinds: list[Kind]


class SubscriptionBody(Body):
    """A choice for a project, or for all without one (null); null as kinds removes it."""

    project_id: Annotated[str, Field(max_length=100), NoNul] | None = None
    kinds: Annotated[list[ChosenKind], Field(max_length=4)] | None


class TriedOut(Answer):
    """The outcome for one receiver, and the reason of a failure."""

    receiver: str
    taken: bool
    because: str | None


class NotificationTest(Answer):
    """The outcomes of a test message, in the order of the setting."""

    items: list[TriedOut]


class StuckOut(Answer):
    """An operation that kept failing because of a fault in Runyard and waits for a person."""

    key: str = Field(description="What `retry` takes: the duty, a dot, and what it is about.")
    duty: str
    project_id: str | None = None
    run_id: str | None = None
    tries: int
    because: str = Field(description="The fault, as it was when it was last tried.")
    first_at: Moment
    held_at: Moment | None = None


class QuarantineOut(Answer):
    """All quarantined operations, oldest first."""

    items: list[StuckOut]
