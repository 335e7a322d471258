"""`runyard tokens`: tokens for programs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from app.api.client import people_calls
from app.cli.client.connection import connect, find_project
from app.cli.output.options import DataDir, Json, example, group
from app.cli.output.run_view import date_and_clock
from app.cli.output.terminal import Piece, err, out, print_json
from app.domain.people.roles import Scope

Scopes = Annotated[
    list[Scope],
    typer.Option("--scope", help="A scope of the token; may be repeated.", show_default=False),
]
Projects = Annotated[
    list[str] | None,
    typer.Option("--project", "-p", help="Only this project; may be repeated.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the group `tokens`."""
    adding = "runyard tokens add nightly --scope runs --project shop"
    tokens = group("Create and revoke tokens for programs.", "runyard tokens list", adding)
    tokens.command("list", epilog=example("runyard tokens list"))(list_tokens)
    tokens.command("add", epilog=example(adding, "runyard tokens add ci --scope read"))(add)
    tokens.command("revoke", epilog=example("runyard tokens revoke nightly"))(revoke)
    app.add_typer(tokens, name="tokens")


def list_tokens(
    everybody: Annotated[
        bool, typer.Option("--all", help="Include other people's tokens (admins only).")
    ] = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """List your tokens, newest first."""
    answer = connect(data_dir).ask(people_calls.tokens(everybody=everybody))
    if json_only:
        print_json(answer)
        return
    if not answer["items"]:
        err().print("No tokens.")
        return
    rows: list[list[Piece]] = [
        [
            *(one["name"], one["person"], " ".join(one["scopes"])),
            *(date_and_clock(one["expires_at"]), one["id"]),
        ]
        for one in answer["items"]
    ]
    out().print_table(["TOKEN", "PERSON", "SCOPES", "ENDS", "ID"], rows)


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.", show_default=False)],
    scope: Scopes,
    project: Projects = None,
    days: Annotated[
        int, typer.Option(min=1, max=365, help="How many days the token is valid.")
    ] = 90,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Create a token; it is printed only once."""
    server = connect(data_dir)
    projects = [str(find_project(server, one)["id"]) for one in project or ()]
    ends = datetime.now(UTC) + timedelta(days=days) - timedelta(minutes=1)
    call = people_calls.add_token(name, scope, ends, projects=projects or None)
    made = server.ask(call)
    if json_only:
        print_json(made)
        return
    out().print(str(made["token"]))
    err().print(f"It is not shown again, and ends {date_and_clock(made['expires_at'])}.")


def revoke(
    token: Annotated[
        str, typer.Argument(metavar="TOKEN", help="Its name or id.", show_default=False)
    ],
    data_dir: DataDir = None,
) -> None:
    """End a token; it stops working at once."""
    connect(data_dir).send(people_calls.revoke_token(token))
    out().print(f"{token} no longer works.")
