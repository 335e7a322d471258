"""A project's settings on the command line: the options that `add` and `edit` share.

They are made from the table of settings, `app.domain.projects.settings`.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.client.connection import Misused
from app.cli.output.options import OptionSet
from app.domain.json.values import JsonValue
from app.domain.projects.autoland import AUTOLAND_FIELDS
from app.domain.projects.setting import Kind, Part, ProjectSetting
from app.domain.projects.settings import PROJECT_SETTINGS
from app.domain.text.argv import read_json_argv

_TYPES = {
    Kind.SECONDS: int,
    Kind.NUMBER: int,
    Kind.SWITCH: bool,
    Kind.COMMAND: list[str],
    Kind.LINES: list[str],
    Kind.CHOICES: list[str],
    Kind.CHECKS: list[str],
}
_USAGE = {
    Kind.COMMAND: ": one word each time, or one JSON list.",
    Kind.LINES: '; may be repeated, replaces the list. "" empties it.',
    Kind.CHOICES: '; may be repeated, replaces the list. "" empties it.',
    Kind.LIMIT: '. "" sets no limit.',
}
# options that differ between `add` and `edit`, or that one of them lacks
_APART = ("name", "base_branch", "tracker", "auto_enabled")
_SHARED = tuple(one for name, one in PROJECT_SETTINGS.items() if name not in _APART)
_COMMANDS = [one for one in _SHARED if one.kind is Kind.COMMAND]
_PATHS = "protected_paths"
_LISTS = [one for one in _SHARED if one.kind in (Kind.LINES, Kind.CHOICES) and one.name != _PATHS]
_LIMITS = [one for one in _SHARED if one.part is Part.CAPS]
_RULES = [one for one in _SHARED if one.part is Part.AUTOLAND]


def option_of(one: ProjectSetting) -> Any:
    """Return the option of a setting: its name, bounds and help."""
    usage = f"{one.usage}." if one.usage else _USAGE.get(one.kind, ".")
    is_number = _TYPES.get(one.kind) is int
    return typer.Option(
        *([one.option] if one.option else []),
        metavar=one.metavar,
        min=one.least if is_number else None,
        # how long a duration may be at most is left to the server's sentence
        max=one.most if one.kind is Kind.NUMBER else None,
        help=f"{one.means}{usage}",
    )


def _parameter(one: ProjectSetting) -> Parameter:
    given: Any = one.choices if one.kind is Kind.CHOICE else _TYPES.get(one.kind, str)
    return Parameter(
        one.name,
        Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[given | None, option_of(one)],
    )


Settings = Annotated[dict[str, Any], OptionSet(tuple(_parameter(one) for one in _SHARED))]
BaseBranch = Annotated[str | None, option_of(PROJECT_SETTINGS["base_branch"])]


def settings_from(typed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given options as the API takes them, None for the others. Raises Misused."""
    limits = {
        one.name: _number(one, typed[one.name]) for one in _LIMITS if typed[one.name] is not None
    }
    given = {one.name: typed[one.name] for one in _SHARED if one not in _LIMITS}
    rules = {AUTOLAND_FIELDS[one.name]: given.pop(one.name) for one in _RULES}
    rules[_PATHS] = _listed(rules[_PATHS])
    rules = {name: value for name, value in rules.items() if value is not None}
    given |= {one.name: _listed(given[one.name]) for one in _LISTS}
    given |= {one.name: read_argv(one.flag, given[one.name]) for one in _COMMANDS}
    return given | {
        "toolchains": _folders(given["toolchains"]),
        "checks": _checks(given["checks"]),
        "limits": limits or None,
        "autoland": rules or None,
        **_texts(given),
    }


def _texts(given: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the long texts, of which one may be on standard input. Raises Misused."""
    texts = {name: given[name] for name in ("prompt", "instructions")}
    piped = [name for name, text in texts.items() if text == "-"]
    if len(piped) > 1:
        raise Misused("Only one text can be read from standard input.")
    return {name: sys.stdin.read() if name in piped else text for name, text in texts.items()}


def _number(one: ProjectSetting, words: str) -> int | None:
    if not words.strip():
        return None
    try:
        return int(words)
    except ValueError as error:
        raise Misused(f"{one.flag} takes a whole number.") from error


def _listed(given: list[str] | None) -> list[str] | None:
    # a single empty value clears the list
    return [one for one in given if one.strip()] if given else None


def _checks(given: list[str] | None) -> list[dict[str, Any]] | None:
    listed = _listed(given)
    return [_check(words) for words in listed] if listed is not None else None


def _check(words: str) -> dict[str, Any]:
    option = PROJECT_SETTINGS["checks"].flag
    if words.lstrip().startswith("{"):
        try:
            check: JsonValue = json.loads(words)
        except ValueError as error:
            raise Misused(f"{option} takes a JSON object with name and command.") from error
        return check if isinstance(check, dict) else {}
    name, equals, command = words.partition("=")
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise Misused(f"A quote in {option} {words} is not closed.") from error
    if not equals or not name.strip() or not argv:
        raise Misused(f"{option} takes a name and a command, such as tests='make test'.")
    return {"name": name.strip(), "command": argv}


def _folders(folders: list[str] | None) -> list[str] | None:
    return folders and [str(Path(one).expanduser().absolute()) for one in folders]


def read_argv(option: str, given: list[str] | None) -> list[str] | None:
    """Read a command from repeated words or one JSON list. Raises Misused."""
    if not given:
        return None
    if len(given) > 1 or not given[0].startswith("["):
        return given
    argv = read_json_argv(given[0])
    if not argv:
        raise Misused(f'{option} takes a JSON list of words, such as ["my-agent", "{{prompt}}"].')
    return argv
