"""`runyard serve`, `login-link` and `doctor`: the commands that also work without a server."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from app.api.client import system_calls
from app.cli.client.connection import Unreachable, connect, data_folder, new_link
from app.cli.output.options import DataDir, Json, example
from app.cli.output.terminal import Painted, Piece, err, out, print_json
from app.domain.sandbox.levels import UNSANDBOXED

Host = Annotated[str | None, typer.Option(help="The address to listen on (default 127.0.0.1).")]
Port = Annotated[
    int | None, typer.Option(min=1, max=65535, help="The port to listen on (default 8080).")
]
NoOpen = Annotated[bool, typer.Option("--no-open", help="Do not open a browser.")]
Native = Annotated[
    bool, typer.Option("--native", help="Open a desktop window; attaches to a running server.")
]
LOOK = "look"
_LEVEL_COLOURS = {"ok": "green", LOOK: "yellow", "unknown": "cyan", "none": "dim"}


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command(
        "serve", epilog=example("runyard serve --port 9000 --no-open", "runyard serve --native")
    )(serve_here)
    app.command("login-link", epilog=example("runyard login-link"))(print_login_link)
    app.command("doctor", epilog=example("runyard doctor", "runyard doctor --strict --json"))(
        examine
    )


def serve_here(
    ctx: typer.Context,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    no_open: NoOpen = False,
    native: Native = False,
) -> None:
    """Start the server (the default command)."""
    if native:
        from app.cli.server.attach_window import join

        if join(data_dir, in_browser=not no_open):
            return
    gc.disable()  # imports leave no garbage: collecting takes a quarter second
    from app.server.patches.unused_imports import UNUSED, hiding

    with hiding(*UNUSED):
        from app.server.application import serve

    gc.enable()
    given = _given(data_dir=data_dir, host=host, port=port)
    seams: dict[str, Any] = ctx.obj or {}
    serve(given, in_window=native, in_browser=not no_open, **seams)


def print_login_link(json_only: Json = False, data_dir: DataDir = None) -> None:
    """Print a one-time link to sign in with, valid for 5 minutes."""
    url = _login_link(data_dir)
    if json_only:
        print_json({"url": url})
    else:
        out().print(url)


def examine(
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 if something needs attention.")
    ] = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Check this machine."""
    found = _findings(data_dir)
    if json_only:
        print_json(found)
    else:
        _print_findings(found)
    if strict and any(item.get("level") == LOOK for item in found["items"]):
        raise typer.Exit(1)


def _login_link(data_dir: Path | None) -> str:
    try:
        return new_link(connect(data_dir, is_own=True), data_folder(data_dir))
    except Unreachable:
        # A link from this machine's own database does not sign in to a server elsewhere.
        if os.environ.get("RUNYARD_URL") and not data_dir:
            raise
    from app.server.application import offline_login_link

    return str(offline_login_link(_given(data_dir=data_dir)))


def _findings(data_dir: Path | None) -> dict[str, Any]:
    try:
        return connect(data_dir, is_own=True).ask(system_calls.doctor("anew"))
    except Unreachable as problem:
        err().print(Painted(f"{problem} (looking without it)", "dim"))
    from app.server.application import offline_doctor

    return offline_doctor(_given(data_dir=data_dir))


def _print_findings(found: dict[str, Any]) -> None:
    rows: list[list[Piece]] = []
    for item in found["items"]:
        level = str(item.get("level", ""))
        mark = Painted(level, _LEVEL_COLOURS.get(level, ""))
        words = str(item.get("found", ""))
        seen = Painted(words, "red") if words.startswith(UNSANDBOXED) else words
        rows.append([mark, *(str(item.get(name, "")) for name in ("about", "check")), seen])
    out().print_table(["", "ABOUT", "CHECK", "FOUND"], rows)
    out().print()
    # advice is sentences: a table column would cut them
    for item in sorted(found["items"], key=lambda one: one.get("level") != LOOK):
        if item.get("advice"):
            what = f"{item.get('about', '')} {item.get('check', '')}".strip()
            colour = _LEVEL_COLOURS[LOOK] if item.get("level") == LOOK else "dim"
            out().print(Painted(f"{what}: ", colour), str(item["advice"]))
    out().print()
    settings: list[list[Piece]] = [
        [str(one.get("name", "")), Painted(str(one.get("origin", "")), "dim"), str(one["value"])]
        for one in found.get("settings", [])
    ]
    if settings:
        out().print_table(["SETTING", "FROM", "VALUE"], settings)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
