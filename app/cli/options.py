"""The options that many commands share, worded once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.completing import project_names, run_endings

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
    """A command group that loads fast: no rich, and help when nothing is asked of it."""
    return typer.Typer(
        help=words,
        epilog=example(*examples),
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def example(*lines: str) -> str:
    """The end of a command's help: lines to copy."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)
