"""The options that many commands share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

from app.cli.client.completion import project_names, run_endings

PushAnyway = Annotated[
    bool,
    typer.Option(
        "--push-anyway",
        help="Push even if the commits contain a secret or a large file, or were not checked.",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="The data folder of the server.", show_default=False, file_okay=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the API's JSON and nothing else.")]
RunId = Annotated[
    str,
    typer.Argument(
        metavar="RUN_ID",
        help="A run's id, or its last 6 or more characters.",
        show_default=False,
        autocompletion=run_endings,
    ),
]
ProjectName = Annotated[
    str,
    typer.Option(
        "--project",
        "-p",
        help="A project's id or name.",
        show_default=False,
        autocompletion=project_names,
    ),
]
ProjectArgument = Annotated[
    str,
    typer.Argument(
        metavar="PROJECT",
        help="A project's id or name.",
        show_default=False,
        autocompletion=project_names,
    ),
]
SomeProject = Annotated[
    str | None,
    typer.Option(
        "--project", "-p", help="Only this project's, by id or name.", autocompletion=project_names
    ),
]


def group(words: str, *examples: str) -> typer.Typer:
    """Return a command group that loads fast (no rich) and shows its help without arguments."""
    return typer.Typer(
        help=words,
        epilog=example(*examples),
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def example(*lines: str) -> str:
    """Return the end of a command's help: example lines to copy."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


@dataclass(frozen=True)
class OptionSet:
    """Options that a command gets as one dictionary; stands in an `Annotated` type."""

    parameters: tuple[Parameter, ...]

    def __call__(self, **given: Any) -> dict[str, Any]:
        """Return the values, None for options that were not given."""
        return given


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with each set of options replaced by the options.

    A set is a parameter whose type is a dataclass, with one option per field, or is annotated with
    an OptionSet. The options take the parameter's place, in the order of the set.
    """
    hints = get_type_hints(command, include_extras=True)
    sets = {name: found for name, one in hints.items() if (found := _set_of(one)) is not None}
    options = {name: _options_of(one) for name, one in sets.items()}

    @wraps(command)
    def called(**given: Any) -> None:
        for name, made in sets.items():
            given[name] = made(**{one.name: given.pop(one.name) for one in options[name]})
        command(**given)

    spelled: list[Parameter] = []
    for one in signature(command).parameters.values():
        if one.name in sets:
            spelled += options[one.name]
        else:
            spelled.append(one.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[one.name]))
    # typer reads the signature and the annotations
    called.__signature__ = Signature(spelled)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in spelled}
    return called


def _set_of(hint: Any) -> Callable[..., Any] | None:
    if is_dataclass(hint):
        return hint if isinstance(hint, type) else None
    return next((one for one in get_args(hint) if isinstance(one, OptionSet)), None)


def _options_of(options: Any) -> tuple[Parameter, ...]:
    if isinstance(options, OptionSet):
        return options.parameters
    hints = get_type_hints(options, include_extras=True)
    return tuple(
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(options)
    )
