"""`runyard token` and `runyard logout`: revoke access to the server."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from app.api.client import system_calls
from app.cli.client.connection import Misused, Server, Unreachable, connect, data_folder
from app.cli.output.options import DataDir, example, group
from app.cli.output.terminal import out


def register(app: typer.Typer) -> None:
    """Add the group `token`, and `logout`."""
    token = group("Replace the token of the data folder.", "runyard token rotate")
    token.command("rotate", epilog=example("runyard token rotate"))(rotate)
    app.add_typer(token, name="token")
    app.command("logout", epilog=example("runyard logout --everywhere"))(sign_out)


def rotate(data_dir: DataDir = None) -> None:
    """Replace the token; the old one stops working at once."""
    server = _server(data_dir)
    if server is None:
        from app.server.application import offline_token_rotate

        offline_token_rotate({"data_dir": data_dir} if data_dir else {})
    else:
        server.send(system_calls.rotate_token())
    file = data_folder(data_dir) / "token"
    out().print(f"The new token is in {file}. The old token no longer works.")


def sign_out(
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="End the sessions of all browsers.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Sign every browser out; open pages end at once."""
    if not everywhere:
        raise Misused(
            "The command line has no session: sign all browsers out with --everywhere, "
            "or replace the token with: runyard token rotate"
        )
    server = _server(data_dir)
    if server is None:
        from app.server.application import offline_sign_out

        ended = offline_sign_out({"data_dir": data_dir} if data_dir else {})
    else:
        ended = int(server.ask(system_calls.log_out_everywhere())["ended"])
    out().print(f"Signed out {ended} browser{'' if ended == 1 else 's'}.")


def _server(data_dir: DataDir) -> Server | None:
    """Return the running server; None if none runs and the data folder can be changed directly."""
    try:
        server = connect(data_dir)
        server.is_ready()
    except Unreachable:
        if os.environ.get("RUNYARD_URL") and not data_dir:
            raise  # this machine's data is not that of a server elsewhere
        return None
    return server
