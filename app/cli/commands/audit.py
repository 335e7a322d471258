"""`runyard audit`: list, export and verify who did what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from app.api.client import system_calls
from app.cli.client.connection import connect
from app.cli.output.options import DataDir, Json, example, group
from app.cli.output.run_view import date_and_clock
from app.cli.output.terminal import err, out, print_json

Person = Annotated[str | None, typer.Option("--person", help="Only this person's, by id or name.")]
DeedWord = Annotated[str | None, typer.Option("--deed", help="Only this action, such as merge.")]
Thing = Annotated[
    str | None, typer.Option("--object", help="Only actions on the object with this id.")
]
Since = Annotated[str | None, typer.Option("--since", help="Only since this time, ISO 8601.")]
Limit = Annotated[
    int, typer.Option("--limit", min=1, max=500, help="How many rows to list at most.")
]


def register(app: typer.Typer) -> None:
    """Add the group `audit`."""
    listing, verifying = "runyard audit list --deed merge", "runyard audit verify"
    exporting = "runyard audit export > audit.ndjson"
    audit = group("Show who did what, and verify the record.", listing, verifying)
    audit.command("list", epilog=example(listing))(list_deeds)
    audit.command("verify", epilog=example(verifying))(verify)
    audit.command("export", epilog=example(exporting))(export_deeds)
    app.add_typer(audit, name="audit")


def list_deeds(
    person: Person = None,
    deed: DeedWord = None,
    thing: Thing = None,
    since: Since = None,
    limit: Limit = 50,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """List who did what, newest first."""
    asked = _asked(person, deed, thing, since)
    answer = connect(data_dir).ask(system_calls.audit(limit, **asked))
    if json_only:
        print_json(answer)
    elif answer["items"]:
        rows = [
            [
                *(date_and_clock(row["at"]), str(row["via"]), str(row["who"])),
                *(str(row["deed"]), str(row["object"])),
            ]
            for row in answer["items"]
        ]
        out().print_table(["AT", "BY", "WHO", "ACTION", "OBJECT"], rows)
    else:
        err().print("No audit rows match.")


def export_deeds(
    person: Person = None,
    deed: DeedWord = None,
    thing: Thing = None,
    since: Since = None,
    data_dir: DataDir = None,
) -> None:
    """Print all matching rows, newest first, one JSON object per line."""
    for row in _all_rows(_asked(person, deed, thing, since), data_dir):
        typer.echo(json.dumps(row))


def verify(json_only: Json = False, data_dir: DataDir = None) -> None:
    """Verify that no row was changed or removed; needs no server.

    Exits 1 and names the first row that breaks the chain.
    """
    from app.server.application import offline_audit

    found = offline_audit({"data_dir": data_dir} if data_dir else {})
    if json_only:
        print_json(found)
    elif found["fits"]:
        out().print(f"All {found['rows']} rows are unchanged.")
    else:
        err().print(f"Row {found['id']} breaks the audit's chain: {found['because']}.")
    if not found["fits"]:
        raise typer.Exit(1)


def _all_rows(asked: dict[str, str], data_dir: DataDir) -> Iterator[dict[str, Any]]:
    api, cursor = connect(data_dir), None
    while True:
        answer = api.ask(system_calls.audit(500, **asked, cursor=cursor))
        yield from answer["items"]
        cursor = answer["next_cursor"]
        if cursor is None:
            return


def _asked(
    person: str | None, deed: str | None, thing: str | None, since: str | None
) -> dict[str, str]:
    given = {"person": person, "deed": deed, "object": thing, "since": since}
    return {name: value for name, value in given.items() if value is not None}
