"""The patch that converts only given values: the same values and complaints as Typer's own."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer import core
from typer._coercion import build_runtime_param
from typer.main import get_command

from app.domain.words import Status
from app.server.patches.late_conversion import convert_late

EVERYTHING = {
    "text": "x y",
    "path": "a//b",
    "folder": ".",
    "count": "7",
    "status": "running",
    "moment": "2026-11-22",
    "tag": "slow",
}


def command() -> Any:
    """Return a command with an option of each type that ours have."""
    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)

    @app.command()
    def told(
        text: str | None = None,
        path: Path | None = None,
        folder: Annotated[Path | None, typer.Option(exists=True, file_okay=False)] = None,
        count: Annotated[int | None, typer.Option(min=1, max=9)] = None,
        status: list[Status] | None = None,
        moment: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])] = None,
        tag: Annotated[list[str] | None, typer.Option()] = None,
        flag: bool = False,
    ) -> dict[str, Any]:
        return locals()

    return get_command(app)


def outcome(words: list[str]) -> object:
    """Return the values that a command line gives, or its complaint."""
    try:
        return command().main(words, prog_name="told", standalone_mode=False)
    except typer.TyperException as misuse:
        return type(misuse), misuse.format_message()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--flag"],
        *([f"--{name}", value] for name, value in EVERYTHING.items()),
        *(["--status", "died", "--status", "running", "--tag", "a", "--tag", "b"],),
        *(["--count", "10"], ["--count", "x"], ["--status", "odd"], ["--moment", "soon"]),
        *(["--folder", __file__], ["--folder", "/nowhere"], ["--text", ""], ["--path", ""]),
    ],
    ids=str,
)
def test_values_and_complaints_are_typer_s_own(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "build_runtime_param", build_runtime_param)
    theirs = outcome(words)
    convert_late()
    assert vars(core)["build_runtime_param"] is not build_runtime_param
    assert outcome(words) == theirs
