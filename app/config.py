"""Server settings: command line, then environment, then `runyard.toml`, then defaults."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.domain.notifications import Kind, mask_receiver
from app.domain.people.groups import read_groups
from app.domain.people.roles import Role
from app.domain.quiet_hours import hours_setting, parse_time, zone_setting
from app.domain.sandbox.levels import SandboxLevel, read_level
from app.domain.system import addresses
from app.domain.system.addresses import Network

_Networks = BeforeValidator(addresses.trusted_networks)
_DatabaseUrl = Annotated[str | None, AfterValidator(addresses.database_address)]


def default_data_dir() -> Path:
    """Return the platform's data folder of Runyard for the current user."""
    return Path(platformdirs.user_data_dir("runyard", appauthor=False))


class TomlFile(PydanticBaseSettingsSource):
    """The settings in the `runyard.toml` of the chosen data folder."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Do nothing: `__call__` reads the whole file at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the file's values; empty if there is no file."""
        chosen = self.current_state.get("data_dir") or default_data_dir()
        file = Path(chosen).expanduser() / "runyard.toml"
        return tomllib.loads(file.read_text()) if file.is_file() else {}


class Settings(BaseSettings):
    """All settings of a server. Times are in seconds; size units are in the names.

    The descriptions are the table of docs/operating.md, where `usual` words a default.
    """

    model_config = SettingsConfigDict(
        env_prefix="RUNYARD_", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="The data folder; `--data-dir`.",
        json_schema_extra={"usual": "the platform's user data folder, `~/.local/share/runyard`"},
    )
    runs_dir: Path | None = Field(
        default=None,
        description="The folder of mirrors, working copies and logs.",
        json_schema_extra={"usual": "`runs` in the data folder"},
    )
    secret_key_file: Path | None = Field(
        default=None,
        description="The file with the key that encrypts tokens of forges; servers that share a "
        "database need the same one.",
        json_schema_extra={"usual": "`secret.key` in the data folder, made at first use"},
    )
    database_url: _DatabaseUrl = Field(
        default=None,
        description="The database: `sqlite:///…`, or `postgresql://user:password@host/name` for "
        "[several servers](#several-servers-on-one-postgresql).",
        json_schema_extra={"usual": "SQLite in the data folder"},
    )
    runs_database_url: _DatabaseUrl = Field(
        default=None,
        description="A second database, in which new runs live; see [Two "
        "databases](#two-databases).",
    )
    runs_split: bool = Field(
        default=True,
        description="`False`: new runs live in the first database again; those of the second stay "
        "there.",
    )
    change_stores: bool = Field(
        default=False,
        description="Records this server's setting of where new runs live; for one start.",
    )
    redis_url: Annotated[str | None, AfterValidator(addresses.redis_address)] = Field(
        default=None,
        description="A Valkey or Redis that counts accepted runs and batches first, and keeps the "
        "set of each repository's active runs; the database has the last word.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="The address to listen on; anything but loopback needs `RUNYARD_PUBLIC_URL` "
        "and a person with a way to sign in; `--host`.",
    )
    port: int = Field(default=8080, ge=1, le=65535, description="The port; `--port`.")
    page_host: Annotated[str | None, AfterValidator(addresses.page_name)] = Field(
        default=None,
        description="The host name of the pages, see [Signing in](#signing-in); `127.0.0.1` is "
        "for browsers that do not find `*.localhost`.",
        json_schema_extra={"usual": "one made at random, `<12 hex>.localhost`"},
    )
    public_url: Annotated[str | None, AfterValidator(addresses.public_url)] = Field(
        default=None,
        description="The address at which people reach this server through a proxy, such as "
        "`https://runyard.example.org`; then it answers under no other. See "
        "[Serving](serving.md).",
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, _Networks] = Field(
        default=(),
        description="Addresses and networks of the proxies whose `X-Forwarded-For`, `-Proto` and "
        "`-Host` count, separated by spaces (a list in the file).",
    )
    oidc_issuer: Annotated[str | None, AfterValidator(addresses.issuer)] = Field(
        default=None,
        description="The provider of OpenID Connect at which people sign in, such as "
        "`https://id.example.org`, exactly as it calls itself; see "
        "[People](people.md#openid-connect).",
    )
    oidc_client_id: str | None = Field(default=None, description="Runyard's name at that provider.")
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="Runyard's secret at that provider."
    )
    oidc_groups: Annotated[dict[str, Role], NoDecode, BeforeValidator(read_groups)] = Field(
        default_factory=dict[str, Role],
        description="Roles for groups of that provider, `group=role,…` (a table in the "
        "file): members need no invitation.",
        json_schema_extra={"usual": "none"},
    )
    environment: str = Field(
        default="local", description="A word for this installation, shown with every run."
    )
    run_quota: int = Field(
        default=100, ge=1, description="Runs that a person may start in one window."
    )
    run_window: int = Field(
        default=3600, ge=1, description="The length of that sliding window, in seconds."
    )
    batch_quota: int = Field(
        default=1000, ge=1, description="Batch items that a person may order in one window."
    )
    batch_window: int = Field(
        default=3600, ge=1, description="The length of that window, in seconds."
    )
    repo_concurrency: int = Field(
        default=3,
        ge=1,
        description="Open runs of one repository, for projects added from now on; each project "
        "has its own setting.",
    )
    max_live_runs: int = Field(
        default=3, ge=1, description="Runs live at once, of all projects; the others wait."
    )
    key_hold_seconds: int = Field(
        default=600, ge=0, description="How long a failed run keeps its idempotency key, at least."
    )
    key_ttl_seconds: int = Field(
        default=30 * 86400, ge=1, description="How long any run keeps its idempotency key."
    )
    sweep_seconds: float = Field(
        default=30,
        ge=0.1,
        description="The time from one look at all runs and projects to the next.",
    )
    kill_grace_seconds: float = Field(default=10, ge=0, description="The time from TERM to KILL.")
    log_cap_mb: float = Field(
        default=50,
        gt=0,
        description="How much of one run's log is kept, in MB (here of 1,048,576 bytes).",
    )
    keep_days: int = Field(
        default=30,
        ge=0,
        le=36500,
        description="How many days the log and the copy of an ended run are kept, and comments "
        "that were not sent on an ended change; 0: for ever; see [What is kept](#what-is-kept).",
    )
    keep_gb: float = Field(
        default=10,
        ge=0,
        description="How many GB of logs, and as many of copies, are kept, the newest first; 0: "
        "no limit.",
    )
    # the database itself refuses to delete rows younger than 30 days
    audit_days: int = Field(
        default=400,
        ge=30,
        le=36500,
        description="How many days the [audit](#audit) is kept, 30 at least.",
    )
    low_disk_mb: int = Field(
        default=2048,
        ge=0,
        description="Runyard warns of a disk with fewer free megabytes than this, or a smaller "
        "share than the next.",
    )
    low_disk_percent: float = Field(
        default=5,
        ge=0,
        le=100,
        description="The smallest share of a disk, in percent, that may be free without a warning.",
    )
    budget_seconds: int = Field(
        default=7200,
        ge=1,
        description="How long a run may take, for projects added from now on; each project has "
        "its own setting.",
    )
    sandbox: SandboxLevel = Field(
        default=SandboxLevel.CONTAINED,
        description="How much of the machine agents see, for projects added from now on: "
        "`contained`, `sandboxed` or `none`; each project has its own setting.",
    )
    allow_unsandboxed: bool = Field(
        default=False,
        description="With `RUNYARD_PUBLIC_URL`: whether projects may have the sandbox level "
        "`none`, so that agents can do everything that this server's user can.",
    )
    launch_seconds: int = Field(
        default=900,
        ge=1,
        description="How long a launch may take, from the queue to the agent, the project's setup "
        "command included.",
    )
    notify_urls: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(),
        description="The receivers of notifications, as addresses of apprise separated by spaces "
        "(a list in the file); see [Notifications](#notifications).",
    )
    notify_kinds: Annotated[tuple[Kind, ...], NoDecode] = Field(
        default=tuple(Kind),
        description="The kinds of notifications to send: `paused`, `delivered`, `failed`, "
        "`needs_you`, `digest`.",
        json_schema_extra={"usual": "all"},
    )
    notify_zone: Annotated[str | None, AfterValidator(zone_setting)] = Field(
        default=None,
        description="The time zone of the next two, such as `Europe/Berlin`.",
        json_schema_extra={"usual": "the machine's"},
    )
    quiet_hours: Annotated[str | None, AfterValidator(hours_setting)] = Field(
        default=None,
        description="Nothing is sent in these hours, and one digest at their end: `22:00-07:00`.",
    )
    digest_at: str | None = Field(
        default=None,
        description="The time of a daily digest, `07:30`; for days without quiet hours.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: command line, then environment, then the file."""
        return (init_settings, env_settings, TomlFile(settings_cls))

    @field_validator("sandbox", mode="before")
    @classmethod
    def _is_level(cls, word: Any) -> Any:
        try:
            return read_level(word)
        except ValueError as error:
            raise ValueError(f"write one of {', '.join(SandboxLevel)}") from error

    @field_validator("notify_urls", mode="before")
    @classmethod
    def _are_receivers(cls, given: Any) -> Any:
        # not checked here: a bad receiver must not stop the server, and doctor reports it
        return tuple(dict.fromkeys(_words(given)))

    @field_validator("notify_kinds", mode="before")
    @classmethod
    def _are_kinds(cls, given: Any) -> Any:
        words = [str(word) for word in _words(given)]
        if unknown := set(words) - set(Kind):
            raise ValueError(f"{min(unknown)} is none of {', '.join(Kind)}")
        return tuple(words)

    @model_validator(mode="after")
    def _names_a_whole_provider(self) -> Settings:
        names = ("oidc_issuer", "oidc_client_id", "oidc_client_secret")
        missing = [f"RUNYARD_{name.upper()}" for name in names if not getattr(self, name)]
        if 0 < len(missing) < len(names):
            raise ValueError(f"{' and '.join(missing)} missing: a provider needs all three")
        return self

    @field_validator("digest_at")
    @classmethod
    def _is_digest_time(cls, text: str | None, info: ValidationInfo) -> str | None:
        if not text:
            return None
        parse_time(text)
        if info.data.get("quiet_hours"):
            raise ValueError("with RUNYARD_QUIET_HOURS the digest comes at their end: unset one")
        return text

    @property
    def runs_root(self) -> Path:
        """The folder of mirrors, working copies and logs, absolute."""
        return (self.runs_dir or self.data_dir / "runs").expanduser().absolute()

    @property
    def data_root(self) -> Path:
        """The data folder, absolute."""
        return self.data_dir.expanduser().absolute()

    @property
    def secret_key(self) -> Path:
        """The file with the key of stored secrets, absolute."""
        return (self.secret_key_file or self.data_dir / "secret.key").expanduser().absolute()

    @property
    def has_unnamed_proxy(self) -> bool:
        """True if everybody seems to come from the proxy's address, which no setting names."""
        return self.public_url is not None and not self.trusted_proxies

    @property
    def database(self) -> str:
        """The control store's URL; by default SQLite in the data folder."""
        return self.database_url or f"sqlite:///{self.data_root / 'runyard.db'}"

    @property
    def is_alone(self) -> bool:
        """True if no other server shares the database: it is in the locked data folder."""
        return self.database_url is None

    @property
    def database_place(self) -> str:
        """The database's identity: its URL in one spelling, without user, password or options."""
        return addresses.database_place(self.database)

    @property
    def log_cap_bytes(self) -> int:
        """The maximum size of a run's stored log, in bytes."""
        return int(self.log_cap_mb * 1024 * 1024)

    def origins(self, given: dict[str, Any]) -> dict[str, str]:
        """Return the source of each setting's value; `given` are the command-line values."""
        file = self.data_root / "runyard.toml"
        in_file = tomllib.loads(file.read_text()) if file.is_file() else {}
        environment = {name.lower() for name in os.environ}

        def origin_of(name: str) -> str:
            if given.get(name) is not None:
                return "command line"
            if f"runyard_{name}" in environment:
                return "environment"
            return "runyard.toml" if name in in_file else "default"

        return {name: origin_of(name) for name in type(self).model_fields}

    def described(self, given: dict[str, Any]) -> list[tuple[str, str, str]]:
        """Return each setting as doctor prints it: name, value with secrets masked, origin."""
        shown = {
            "runs_dir": str(self.runs_root),
            "database_url": addresses.without_password(self.database),
            "runs_database_url": addresses.without_password(str(self.runs_database_url)),
            "redis_url": addresses.without_password(self.redis_url or "None"),
            "notify_urls": " ".join(mask_receiver(u.get_secret_value()) for u in self.notify_urls),
            "notify_kinds": " ".join(self.notify_kinds),
            "trusted_proxies": " ".join(map(str, self.trusted_proxies)),
        }
        return [
            (f"RUNYARD_{name.upper()}", shown.get(name, str(getattr(self, name))), origin)
            for name, origin in self.origins(given).items()
        ]


def _words(given: Any) -> list[Any]:
    # an address may contain commas, so only spaces separate the items of a list
    return given.split() if isinstance(given, str) else list(given)


def load_settings(**given: Any) -> Settings:
    """Read the settings; `given` are the command-line values, None if not set."""
    return Settings(**{name: value for name, value in given.items() if value is not None})
