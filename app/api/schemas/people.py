"""Schemas of organisations, people, their sessions and tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from app.api.schemas.parts import Answer, Body, InUtc, Moment, NoNul
from app.domain.people.preferences import Look
from app.domain.people.roles import Role, Scope
from app.domain.quota import LIMIT_PROBLEM, MOST_PLACES, LimitOf

Text = Annotated[str, NoNul, Field(max_length=1000)]


def _limit(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_PLACES:
        return value
    raise ValueError(LIMIT_PROBLEM)


_AS_NUMBER = WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MOST_PLACES})
Limit = Annotated[int, BeforeValidator(_limit), _AS_NUMBER]
AgentNames = Annotated[list[Annotated[str, NoNul, Field(max_length=80)]], Field(max_length=100)]
ProjectRoles = Annotated[dict[str, Role], Field(max_length=1000)]
RoleLimits = dict[Role, Limit | None]


class OrganisationOut(Answer):
    """An organisation; its limits of accepted runs and of batch items by role, where one is set."""

    id: str
    name: str
    run_quotas: dict[Role, int] = Field(default_factory=dict[Role, int])
    batch_quotas: dict[Role, int] = Field(default_factory=dict[Role, int])
    created_at: Moment


class Organisations(Answer):
    """The organisations that you may know of."""

    items: list[OrganisationOut]


class OrganisationName(Body):
    """The name of an organisation."""

    name: Text


class OrganisationChange(Body):
    """Changes of an organisation: roles that are not named keep their limit, null takes it away."""

    name: Text | None = None
    run_quotas: RoleLimits | None = None
    batch_quotas: RoleLimits | None = None


class PersonOut(Answer):
    """A person: `role` in the organisation, `projects` with the higher roles by project id.

    `can_sign_in` is False until an invitation was accepted. `run_quota` and `batch_quota` are null
    where the limit of the role holds; `agents` is empty if any agent may be started.
    """

    id: str
    name: str
    email: str | None = None
    organisation: str
    role: Role
    projects: dict[str, Role]
    disabled: bool
    can_sign_in: bool
    asks_for_code: bool
    look: str | None = None
    time_zone: str | None = None
    run_quota: int | None = None
    batch_quota: int | None = None
    agents: list[str] = Field(default_factory=list)
    created_at: Moment


class PeopleOut(Answer):
    """The people of your organisation, by name."""

    items: list[PersonOut]


class InvitationOut(Answer):
    """A link by which a person sets a password, once."""

    url: str
    expires_at: Moment


class InvitedOut(PersonOut):
    """A person who was invited."""

    invitation: InvitationOut


class NewPerson(Body):
    """A person to invite."""

    email: Text
    name: Text = ""
    role: Role = Role.USER
    organisation: Text | None = None
    projects: ProjectRoles = Field(default_factory=dict)


class PersonChange(Body):
    """Changes of a person; name, look and time zone are one's own, null takes a limit away."""

    name: Text | None = None
    look: Look | None = Field(
        default=None, description="The look of the pages in all browsers: `auto` is the system's."
    )
    time_zone: Text | None = Field(
        default=None, description='The zone in which pages show times, `""` for the browser\'s.'
    )
    role: Role | None = None
    projects: ProjectRoles | None = None
    disabled: bool | None = None
    run_quota: Limit | None = None
    batch_quota: Limit | None = None
    agents: AgentNames | None = None


class PersonQuotaOut(Answer):
    """A person's sliding window of accepted runs; `limit_of` says who the limit is set for."""

    person_id: str
    name: str
    role: Role
    limit: int
    limit_of: LimitOf
    used: int
    remaining: int
    reset_at: Moment | None = None
    free_at: Moment | None = None


class PeopleQuotas(Answer):
    """The windows of everybody in your organisation, by name."""

    items: list[PersonQuotaOut]
    window_seconds: int


class SessionOut(Answer):
    """A browser session; `current` is the one of this request."""

    id: str
    created_at: Moment
    last_used_at: Moment
    expires_at: Moment
    address: str | None = None
    browser: str | None = None
    current: bool = False


class SessionsOut(Answer):
    """A person's browser sessions, the newest first."""

    items: list[SessionOut]


class NewPassword(Body):
    """A new password, and the old one where there is one."""

    old_password: Text = ""
    password: Text


class Proof(Body):
    """The password of the signed-in person, and a one-time code where those are asked for."""

    password: Text
    code: Text = ""


class Code(Body):
    """A one-time code."""

    code: Text


class CodesOut(Answer):
    """The secret for an authenticator app, also as an address that it reads."""

    secret: str
    address: str


class RecoveryCodes(Answer):
    """Codes that each replace a one-time code once; they are not shown again."""

    codes: list[str]


class TokenOut(Answer):
    """A token; `projects` is null for all that its person may see."""

    id: str
    name: str
    person: str
    scopes: list[Scope]
    projects: list[str] | None = None
    created_at: Moment
    expires_at: Moment
    last_used_at: Moment | None = None


class TokensOut(Answer):
    """Tokens that are not revoked, the newest first."""

    items: list[TokenOut]


class NewTokenOut(TokenOut):
    """A new token, whose text is shown this once."""

    token: str


class NewToken(Body):
    """A token to make; without `expires_at` it ends after 90 days."""

    name: Annotated[str, NoNul, Field(min_length=1, max_length=100, pattern=r"\S")]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)]
    projects: Annotated[list[str], Field(max_length=1000)] | None = None
    expires_at: Annotated[datetime, InUtc] | None = None


class PushKeyOut(Answer):
    """The key with which a browser subscribes, in base64url."""

    key: str


class PushKeys(Body):
    """The keys of a browser's subscription, in base64url."""

    p256dh: Annotated[str, Field(max_length=200), NoNul]
    auth: Annotated[str, Field(max_length=100), NoNul]


class NewDevice(Body):
    """A browser's subscription as `PushSubscription.toJSON()` gives it."""

    endpoint: Annotated[str, Field(max_length=2000), NoNul]
    keys: PushKeys
    expiration_time: float | None = Field(default=None, alias="expirationTime")


class DeviceOut(Answer):
    """A browser that gets your notifications; `because` says why the last one was not taken."""

    id: str
    name: str
    endpoint: str = Field(description="By it a browser recognizes itself.")
    created_at: Moment
    failed_at: Moment | None
    because: str | None


class Devices(Answer):
    """Your devices, oldest first."""

    items: list[DeviceOut]
