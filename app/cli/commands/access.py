"""`runyard login`, `logout` and `token`: sign in to a server, and revoke access to it."""

from __future__ import annotations

import os
import sys
from typing import Annotated
from urllib.parse import urlsplit

import typer

from app.api.client import people_calls, system_calls
from app.cli.client.connection import (
    LOOPBACK,
    Misused,
    Refused,
    Server,
    Unreachable,
    connect,
    data_folder,
    login_in_use,
    server_of,
    server_url,
)
from app.cli.client.saved_login import SavedLogin, forget_login, save_login
from app.cli.output.options import DataDir, example, group
from app.cli.output.terminal import err, out

UNAUTHORISED = 401


def register(app: typer.Typer) -> None:
    """Add the group `token`, and `login` and `logout`."""
    token = group("Replace the token of the data folder.", "runyard token rotate")
    token.command("rotate", epilog=example("runyard token rotate"))(rotate)
    app.add_typer(token, name="token")
    app.command("login", epilog=example("runyard login https://runyard.example.com"))(sign_in)
    app.command("logout", epilog=example("runyard logout", "runyard logout --everywhere"))(sign_out)


def rotate(data_dir: DataDir = None) -> None:
    """Replace the token; the old one stops working at once."""
    server = _server(data_dir, is_own=True)
    if server is None:
        from app.server.application import offline_token_rotate

        offline_token_rotate({"data_dir": data_dir} if data_dir else {})
    else:
        server.send(system_calls.rotate_token())
    file = data_folder(data_dir) / "token"
    out().print(f"The new token is in {file}. The old token no longer works.")


def sign_in(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="The server's address.", show_default=False)
    ],
) -> None:
    """Sign in to a remote server with a token made there.

    The commands then go to that server, until `runyard logout`. The token is asked for, or read
    from standard input.
    """
    address = server_url(url, "This")
    parts = urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise Misused("A token is only sent encrypted: give an address that begins with https://")
    if sys.stdin.isatty():
        err().print(f"Make a token at {address}/settings?tab=tokens and paste it here.")
        token = str(typer.prompt("Token", hide_input=True, err=True))
    else:
        token = sys.stdin.readline()
    token = token.strip()
    if not (token and token.isascii() and token.isprintable()):
        raise Misused("This is not a token.")
    login, folder = SavedLogin(address, token), data_folder(None)
    try:
        me = server_of(login).ask(people_calls.person())
    except Refused as refusal:
        if refusal.status == UNAUTHORISED:
            raise Refused("This server does not know the token.") from refusal
        raise
    try:
        save_login(folder, login)
    except OSError as problem:
        raise Refused(f"The sign-in could not be saved in {folder}: {problem.strerror}.") from None
    out().print(f"Signed in to {address} as {me['name']}.")


def sign_out(
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="End the sessions of all your browsers.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Sign out of a remote server, or of all your browsers."""
    if everywhere:
        _sign_browsers_out(data_dir)
    elif login := login_in_use(data_dir):
        _end(login)
    else:
        raise Misused(
            "The command line is not signed in to a remote server: sign all browsers out with "
            "--everywhere, or replace the token of this machine with: runyard token rotate"
        )


def _end(login: SavedLogin) -> None:
    """Revoke the token of a sign-in and delete it, also if the server has ended it before."""
    try:
        server_of(login).send(people_calls.end_token())
    except Refused as refusal:
        if refusal.status != UNAUTHORISED:
            raise
    except Unreachable:
        err().print(
            f"The server did not answer: revoke the token at {login.url}/settings?tab=tokens"
        )
    forget_login(data_folder(None))
    out().print(f"Signed out of {login.url}.")


def _sign_browsers_out(data_dir: DataDir) -> None:
    server = _server(data_dir)
    if server is None:
        from app.server.application import offline_sign_out

        ended = offline_sign_out({"data_dir": data_dir} if data_dir else {})
    else:
        ended = int(server.ask(system_calls.log_out_everywhere())["ended"])
    out().print(f"Signed out {ended} browser{'' if ended == 1 else 's'}.")


def _server(data_dir: DataDir, *, is_own: bool = False) -> Server | None:
    """Return the running server; None if none runs and the data folder can be changed directly."""
    try:
        server = connect(data_dir, is_own=is_own)
        server.is_ready()
    except Unreachable:
        is_elsewhere = os.environ.get("RUNYARD_URL") or (not is_own and login_in_use(data_dir))
        if is_elsewhere and not data_dir:
            raise  # this machine's data is not that of a server elsewhere
        return None
    return server
