"""Schemas of forges."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.api.schemas.parts import Answer, Body, Moment, Prose

Kind = Literal["forgejo", "gitea", "github"]


class AppKey(Body):
    """A GitHub App: its number or client id, and a private key of it, in PEM form."""

    id: int | Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
    private_key: str = Field(
        max_length=20_000, repr=False, description="Kept encrypted, never shown again."
    )


class NewForge(Body):
    """The body of `POST /forges`: a token or an App; without a kind it is found out."""

    url: Prose = Field(min_length=1, max_length=500)
    token: str = Field(
        default="",
        max_length=500,
        repr=False,
        description="Kept encrypted, and never shown again.",
    )
    app: AppKey | None = Field(default=None, description="Instead of a token, at GitHub.")
    kind: Kind | None = None
    name: Prose = Field(default="", max_length=80, description="Default: the host.")


class ForgeChange(Body):
    """The body of `PATCH /forges/{id}`."""

    name: Prose | None = Field(default=None, max_length=80)
    token: str | None = Field(default=None, max_length=500, repr=False)
    app: AppKey | None = None


class ActsAs(Answer):
    """The account whose token Runyard uses."""

    login: str


class ForgeOut(Answer):
    """A forge; `missing` are scopes that its token lacks, `needs_attention` is for a person."""

    id: str
    name: str
    kind: Kind
    url: str
    version: str
    acts_as: ActsAs
    may: list[Literal["push", "pull_requests", "issues"]]
    missing: list[str]
    needs_attention: str | None
    created_at: Moment
    checked_at: Moment
    spending: SpendingOut | None = None


class HookOrder(Body):
    """The body of `POST /forges/{id}/hook`: repositories to install the hook in, as OWNER/NAME."""

    install: list[Prose] = Field(default=[], max_length=500)


class HookOut(Answer):
    """Where the forge shall send its hooks, and the secret that signs them.

    `refused` says why a hook was not installed, by repository.
    """

    url: str
    secret: str
    installed: list[str]
    refused: dict[str, str]


class SealedAnew(Answer):
    """How many secrets were encrypted with a fresh key."""

    secrets: int


class SpendingOut(Answer):
    """The requests made to a forge, and the limit that it tells, None if it tells none."""

    requests: int
    last_minute: int
    remaining: int | None
    reset_seconds: int | None


class Forges(Answer):
    """All forges, by name."""

    items: list[ForgeOut]


class HostedOut(Answer):
    """A repository that a forge's token sees; `project_id` is its project here, if it has one."""

    full_name: str
    clone_url: str
    may_push: bool
    project_id: str | None = None
    because: str | None = Field(default=None, description="Why it cannot be a project.")


class ForgeAtOut(Answer):
    """The forge of a repository's address: one that is known, or one that a token would add."""

    origin: str
    url: str | None = Field(description="The forge's address; null if no forge is found there.")
    kind: Kind | None = None
    version: str = ""
    forge: ForgeOut | None = Field(default=None, description="The known forge at this address.")
    scopes: list[str] = Field(
        default_factory=list[str], description="The scopes that a token for it needs."
    )
    because: str | None = Field(default=None, description="Why it is not known what is there.")


class HostedRepositories(Answer):
    """The repositories that a forge's token sees, by name."""

    items: list[HostedOut]
