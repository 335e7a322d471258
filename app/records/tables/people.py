"""People: organisations, memberships, browser sessions, links that sign in, and tokens."""

from datetime import datetime

from sqlalchemy import JSON, CheckConstraint, Index, Text, false
from sqlmodel import Field, SQLModel

from app.domain.people.roles import Role
from app.records.tables.stores import Moment, one_of

# the organisation of the first start; its id is the same everywhere
DEFAULT_ORGANISATION = f"org_{'0' * 24}"


class Organisation(SQLModel, table=True):
    """People and projects that others on this server know nothing of."""

    __tablename__ = "organisation"  # pyright: ignore[reportAssignmentType]

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    # limits by role; a role without one has the server's
    run_quotas: dict[str, int] = Field(default_factory=dict, sa_type=JSON)
    batch_quotas: dict[str, int] = Field(default_factory=dict, sa_type=JSON)
    created_at: datetime = Field(sa_type=Moment)


class Person(SQLModel, table=True):
    """A person who may use this Runyard.

    `name` is unique: the e-mail address, or the word for the local operator.
    """

    __tablename__ = "person"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        Index("person_by_email", "email", unique=True),
        Index("person_by_subject", "oidc_subject", unique=True),
    )

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    # as the person wants to be called
    full_name: str | None = None
    email: str | None = None
    # argon2id, with its parameters
    password_hash: str | None = Field(default=None, sa_type=Text)
    # encrypted; it counts once `totp_since` is set
    totp_secret: str | None = Field(default=None, sa_type=Text)
    totp_since: datetime | None = Field(default=None, sa_type=Moment)
    # the last 30 seconds whose code was used, so that none is used twice
    totp_step: int | None = None
    recovery_hashes: list[str] = Field(default_factory=list, sa_type=JSON)
    # of OpenID Connect: `iss` and `sub`
    oidc_subject: str | None = None
    # the role follows the provider's groups; without a group since `lapsed_at`, nothing works
    is_of_groups: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    lapsed_at: datetime | None = Field(default=None, sa_type=Moment)
    # of all of this person's browsers; None where each decides for itself
    look: str | None = None
    time_zone: str | None = None
    # None: the limits of the role
    run_quota: int | None = None
    batch_quota: int | None = None
    # the only agents that this person may start; empty for any
    agents: list[str] = Field(default_factory=list, sa_type=JSON)
    disabled_at: datetime | None = Field(default=None, sa_type=Moment)
    created_at: datetime = Field(sa_type=Moment)

    @property
    def shown_name(self) -> str:
        """The name for screens."""
        return self.full_name or self.name


class Membership(SQLModel, table=True):
    """The organisation of a person, and the role in it."""

    __tablename__ = "membership"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (CheckConstraint(one_of("role", tuple(Role)), name="membership_role"),)

    person_id: str = Field(primary_key=True, foreign_key="person.id")
    organisation_id: str = Field(foreign_key="organisation.id", index=True)
    role: str


class ProjectRole(SQLModel, table=True):
    """A higher role of a person in one project."""

    __tablename__ = "project_role"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (CheckConstraint(one_of("role", tuple(Role)), name="project_role_word"),)

    person_id: str = Field(primary_key=True, foreign_key="person.id")
    project_id: str = Field(primary_key=True, foreign_key="project.id", index=True)
    role: str


class SignIn(SQLModel, table=True):
    """A browser's session; only the hash of its cookie is stored."""

    __tablename__ = "session"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (Index("session_by_id", "id", unique=True),)

    cookie_hash: str = Field(primary_key=True)
    # names it where people end it
    id: str
    person_id: str = Field(foreign_key="person.id", index=True)
    csrf: str
    created_at: datetime = Field(sa_type=Moment)
    # the last time that the person proved who they are
    proved_at: datetime = Field(sa_type=Moment)
    # to the hour
    used_at: datetime = Field(sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment)
    address: str | None = None
    browser: str | None = None


class LoginLink(SQLModel, table=True):
    """A link that signs a browser in once; only the hash of its token is stored.

    With `sets_password` it is an invitation or a reset, which ends with a new password.
    """

    __tablename__ = "login_link"  # pyright: ignore[reportAssignmentType]

    token_hash: str = Field(primary_key=True)
    person_id: str = Field(foreign_key="person.id")
    sets_password: bool = False
    created_at: datetime = Field(sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment, index=True)
    used_at: datetime | None = Field(default=None, sa_type=Moment)


class OidcStart(SQLModel, table=True):
    """A sign-in that somebody began at the identity provider; `id` is the hash of a cookie's value.

    What the provider's answer must show again is kept here, not in the browser.
    """

    __tablename__ = "oidc_start"  # pyright: ignore[reportAssignmentType]

    id: str = Field(primary_key=True)
    state: str
    nonce: str
    verifier: str
    # the page that was asked for
    wanted: str = Field(default="", sa_type=Text)
    # to re-authenticate
    is_again: bool = False
    # where it was begun; an address has few at once
    address: str = Field(default="", index=True)
    created_at: datetime = Field(sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment, index=True)


class AccessToken(SQLModel, table=True):
    """A token for programs, `ry_…`; only its hash is stored."""

    __tablename__ = "token"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (Index("tokens_of_person", "person_id", "id"),)

    id: str = Field(primary_key=True)
    person_id: str = Field(foreign_key="person.id")
    name: str
    token_hash: str = Field(unique=True)
    scopes: list[str] = Field(sa_type=JSON)
    # None: all that its person may see
    projects: list[str] | None = Field(default=None, sa_type=JSON(none_as_null=True))  # pyright: ignore[reportArgumentType]
    created_at: datetime = Field(sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment)
    # to the minute
    last_used_at: datetime | None = Field(default=None, sa_type=Moment)
    revoked_at: datetime | None = Field(default=None, sa_type=Moment)


class RunToken(SQLModel, table=True):
    """The token of a run's own agent, `ry_…`, for the run's issue; no person's.

    Its hash admits it, for as long as the run lasts. Its encrypted text is kept so that a server
    that was restarted still masks it, and so that a follow-up gets the same one.
    """

    __tablename__ = "run_token"  # pyright: ignore[reportAssignmentType]

    run_id: str = Field(primary_key=True)
    project_id: str
    issue: int
    token_hash: str = Field(unique=True)
    # see app.adapters.machine.secret_box
    sealed: str = Field(sa_type=Text)
    # how many the agent has written
    comments: int = 0
    created_at: datetime = Field(sa_type=Moment)
