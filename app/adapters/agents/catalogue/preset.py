"""Presets: the facts about each agent's command line, read from the files beside this one.

To add an agent, add `<name>.toml` here and its name to `NAMES`. The keys are the fields of
`Preset`; its stream is one of `formats.FORMATS`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from app.domain.agents.final_output import Failure
from app.domain.json.objects import is_object
from app.domain.json.values import JsonValue

# in the order in which people see them
NAMES = (
    *("claude", "codex", "gemini", "opencode", "aider"),
    *("amp", "cursor", "copilot", "qwen", "droid"),
)


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
    """The places that show an agent's sign-in offline, and how a person signs in (`remedy`).

    `doubts` may indicate a sign-in of another kind, as may the `repository_doubts` in a repository.
    If `is_whole`, nothing else could, and the absence of all of them means signed out. A private
    home gets the `lent` files, and the files that the `lent_variables` name.
    """

    remedy: str
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


@cache
def built_in() -> tuple[Preset, ...]:
    """Return the presets of the files beside this one, read once. Raises ValueError."""
    return tuple(read_preset(Path(__file__).with_name(f"{name}.toml")) for name in NAMES)


def read_preset(file: Path) -> Preset:
    """Read a preset strictly. Raises ValueError, which names the file and the key."""
    try:
        found = _table(Preset, tomllib.loads(file.read_text(encoding="utf-8")), "")
        if found.name != file.stem:
            raise ValueError(f"name: must be {file.stem!r}, as the file is called")
    except ValueError as problem:
        raise ValueError(f"{file.name}: {problem}") from problem
    return found


def _table(kind: type[Any], value: Any, key: str) -> Any:
    """Convert a table to a dataclass, whose fields are its only keys."""
    if not is_object(value):
        raise ValueError(f"{key}: must be a table")
    under = f"{key}." if key else ""
    types = _types_of(kind)
    if unknown := next((name for name in value if name not in types), None):
        raise ValueError(f"{under}{unknown}: no such key")
    for one in fields(kind):
        if one.default is MISSING and one.name not in value:
            raise ValueError(f"{under}{one.name}: is missing")
    return kind(**{name: _checked(types[name], one, under + name) for name, one in value.items()})


@cache
def _types_of(kind: type[Any]) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _checked(kind: Any, value: Any, key: str) -> Any:
    """Convert a value of TOML to a field's type. Raises ValueError, which names the key."""
    if is_dataclass(kind):
        return _table(kind, value, key)  # type: ignore[arg-type]
    if isinstance(kind, UnionType):
        # a key that is left out is None
        return _checked(get_args(kind)[0], value, key)
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        if get_origin(inner) is tuple:
            return _pairs(inner, value, key)
        listed: JsonValue = value
        if not isinstance(listed, list):
            raise ValueError(f"{key}: must be a list")
        return tuple(_checked(inner, one, f"{key}[{at}]") for at, one in enumerate(listed))
    if issubclass(kind, StrEnum):
        if value not in list(kind):
            raise ValueError(f"{key}: must be one of {', '.join(kind)}")
        return kind(value)
    if type(value) is not kind:
        raise ValueError(f"{key}: must be {_KINDS[kind]}")
    return value


_KINDS = {str: "a text", bool: "true or false", int: "a whole number"}


def _pairs(kind: Any, value: Any, key: str) -> tuple[tuple[Any, Any], ...]:
    """Convert a table to pairs; its keys are texts or whole numbers."""
    if not is_object(value):
        raise ValueError(f"{key}: must be a table")
    first, second = get_args(kind)
    if wrong := next((name for name in value if first is int and not name.isdecimal()), None):
        raise ValueError(f"{key}.{wrong}: the key must be a whole number")
    return tuple(
        (first(name), _checked(second, one, f"{key}.{name}")) for name, one in value.items()
    )
