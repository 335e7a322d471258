"""What is known of one agent's command line, as data."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.agents.final_output import Failure


@dataclass(frozen=True)
class Stored:
    """A file below a folder of the user's that tells of a sign-in, where it holds such a word.

    `variable` may name the folder instead; without words it tells by being there.
    """

    file: str
    folder: str
    variable: str = ""
    holds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Renewal:
    """The fields that an agent changes in a file when it renews its sign-in, and nothing else.

    They are dotted names below `part`: the whole of the file, one field, or `*` for each. `newest`
    is the one that tells which of two is newer: milliseconds since 1970, a time in ISO's words, or
    a token that tells its own end; unless it `is_end`, it tells when the sign-in was renewed. The
    `unsteady` fields may differ, and are never taken.
    """

    fields: tuple[str, ...]
    newest: str
    part: str = ""
    unsteady: tuple[str, ...] = ()
    is_end: bool = True


@dataclass(frozen=True)
class Lent:
    """A file of the user's own that an agent's private home gets: its sign-in and no more.

    `only` are the settings that are taken of it, dotted in JSON; the whole file where it names
    none. What comes back is `renewal`, nothing without one.
    """

    file: str
    folder: str
    variable: str = ""
    only: tuple[str, ...] = ()
    renewal: Renewal | None = None

    @property
    def is_merged(self) -> bool:
        """True where an agent keeps more in the same file, which stays its own."""
        return bool(self.only) and self.file.endswith(".json")


@dataclass(frozen=True)
class SignIn:
    """Where an agent's sign-in shows without asking anybody, and how a person signs in.

    `doubts` may stand for a sign-in of another kind, as may the files of a repository in
    `repository_doubts`. `is_whole` where nothing else could: only then the absence of all of them
    means signed out. The `lent` files are what a private home gets, and those that the
    `lent_variables` name.
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
    """One agent's command line; its prompt comes on its standard input, or by `{prompt_file}`.

    `version` is the one these facts were seen with, `floor` the oldest known to take them, empty
    where none is. `model_flag` is added only where a model is chosen. `exit_codes` are those that
    mean more than a failure, in words, `exit_failures` those by which it fails in a known way;
    `limit_messages` are patterns of what it says when its account has no usage left.
    `help_arguments` print what flags it takes, offline; it takes the `unlisted` ones all the same.
    `hosts` are those that it cannot work without, as `host` or `host:port`.
    As root it works only where `root_variable` is 1; `root_files` may set it, too. The
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


# the hosts of those whose keys they are
PROVIDER_HOSTS = (
    *("api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com"),
    "openrouter.ai",
)
PROVIDER_KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY")
