"""The tree of Click commands, taken from the program."""

from __future__ import annotations

from typing import Any

from typer.main import get_command

from app.cli.main import build


def every_command() -> dict[str, Any]:
    """Map each command's and group's words to its Click command; "" is the program itself."""
    found: dict[str, Any] = {}
    todo: list[tuple[str, Any]] = [("", get_command(build()))]
    while todo:
        path, command = todo.pop(0)
        found[path] = command
        below = getattr(command, "commands", {})
        todo += [(f"{path} {name}".strip(), child) for name, child in below.items()]
    return found


def every_leaf() -> list[str]:
    """Return the words of every command that is not a group."""
    return [path for path, one in every_command().items() if not hasattr(one, "commands")]
