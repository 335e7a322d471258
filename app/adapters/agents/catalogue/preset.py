"""The types of a preset: the facts about one agent's command line."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.agents.final_output import Failure


@dataclass(frozen=True)
class Stored:
    """A file in a folder of the user's that shows a sign-in if it contains one of `holds`.

    `variable` may name another folder; with an empty `holds`, any content counts.
    """

    file: str
    folder: str
    variable: str = ""
    holds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Renewal:
    """The only fields that an agent changes in a file when it renews its sign-in.

    They are dotted names below `part`: the whole file if empty, one field, or `*` for each field.
    `newest` orders two versions: milliseconds since 1970, an ISO time, or a JWT with an expiry. It
    is when the sign-in expires or, unless `is_end`, when it was renewed. The `unsteady` fields may
    differ, and are never copied.
    """

    fields: tuple[str, ...]
    newest: str
    part: str = ""
    unsteady: tuple[str, ...] = ()
    is_end: bool = True


@dataclass(frozen=True)
class Lent:
    """A file of the user's whose sign-in, and no more, an agent's private home gets.

    `only` names the settings to copy, dotted in JSON; if empty, the whole file is copied. `renewal`
    says what is copied back; if None, nothing is.
    """

    file: str
    folder: str
    variable: str = ""
    only: tuple[str, ...] = ()
    renewal: Renewal | None = None

    @property
    def is_merged(self) -> bool:
        """True if the agent keeps other data in the same file, which must stay."""
        return bool(self.only) and self.file.endswith(".json")


@dataclass(frozen=True)
class SignIn:
    """The places that show an agent's sign-in offline, and how a person signs in.

    `doubts` may indicate a sign-in of another kind, as may the `repository_doubts` in a repository.
    If `is_whole`, nothing else could, and the absence of all of them means signed out. A private
    home gets the `lent` files, and the files that the `lent_variables` name.
    """

    mend: str
    variables: tuple[str, ...] = ()
    files: tuple[Stored, ...] = ()
    doubts: tuple[Stored, ...] = ()
    doubtful_variables: tuple[str, ...] = ()
    repository_doubts: tuple[str, ...] = ()
    is_whole: bool = False
    lent: tuple[Lent, ...] = ()
    lent_variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preset:
    """One agent's command line; it gets its prompt on stdin, or by `{prompt_file}`.

    `version` is the one these facts were verified with, `floor` the oldest known to work, empty if
    unknown. `model_flag` is added only if a model is chosen. `exit_codes` explains special exit
    codes in words, `exit_failures` maps exit codes to failures; `limit_messages` are patterns of
    its messages when its account has no usage left. `help_arguments` list its flags offline, except
    the `unlisted` ones. `hosts` are those that it cannot work without, as `host` or `host:port`.
    As root it works only if `root_variable` is 1, which `root_files` may set too;
    `root_environment` switches its own sandbox off, which root cannot nest in another.
    """

    name: str
    executable: str
    version: str
    arguments: tuple[str, ...]
    model_flag: str
    stream: str
    install: str
    sign_in: SignIn
    floor: str = ""
    help_arguments: tuple[str, ...] = ("--help",)
    unlisted: tuple[str, ...] = ()
    root_variable: str = ""
    root_files: tuple[Stored, ...] = ()
    root_environment: tuple[tuple[str, str], ...] = ()
    continue_arguments: tuple[str, ...] = ()
    exit_codes: tuple[tuple[int, str], ...] = ()
    exit_failures: tuple[tuple[int, Failure], ...] = ()
    limit_messages: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    fixed_environment: tuple[tuple[str, str], ...] = ()


# the hosts of the providers in PROVIDER_KEYS
PROVIDER_HOSTS = (
    *("api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com"),
    "openrouter.ai",
)
PROVIDER_KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY")
