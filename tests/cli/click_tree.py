"""The commands as the program itself has them."""

from __future__ import annotations

from typing import Any

from typer.main import get_command

from app.cli.main import build


def every_command() -> dict[str, Any]:
    """Every command and group by the words that call it, the program itself by none."""
    found: dict[str, Any] = {}
    todo: list[tuple[str, Any]] = [("", get_command(build()))]
    while todo:
        path, command = todo.pop(0)
        found[path] = command
        below = getattr(command, "commands", {})
        todo += [(f"{path} {name}".strip(), child) for name, child in below.items()]
    return found


def every_leaf() -> list[str]:
    """The words of every command that does something by itself."""
    return [path for path, one in every_command().items() if not hasattr(one, "commands")]
