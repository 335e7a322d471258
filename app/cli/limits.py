"""`runyard limits`: accounts of agents that are at their usage limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from app.cli.connection import connect
from app.cli.options import DataDir, Json, example, group
from app.cli.run_view import date_and_clock
from app.cli.terminal import err, out, print_json
from app.domain.ids import shorten

Family = Annotated[str, typer.Option(help="The models it holds for; every model when not given.")]

# of these the time is over
STANDS = {"due": "tried next", "probing": "being tried", "easing": "back again"}


def register(app: typer.Typer) -> None:
    """Add the group `limits`."""
    lift_example = example("runyard limits lift claude", "runyard limits lift claude --family opus")
    limits = group(
        "Show accounts at their usage limit, or lift a hold.",
        "runyard limits list",
        "runyard limits lift claude",
    )
    limits.command("list", epilog=example("runyard limits list"))(list_holds)
    limits.command("lift", epilog=lift_example)(lift_hold)
    app.add_typer(limits, name="limits")


def list_holds(json_only: Json = False, data_dir: DataDir = None) -> None:
    """List the accounts that are held, and until when."""
    answer = connect(data_dir).get("/quota/accounts")
    if json_only:
        print_json(answer)
        return
    if not answer["items"]:
        err().say("No account is at its usage limit.")
        return
    rows = [
        [
            f"{one['agent']} {one['family']}".strip(),
            _until(one),
            str(one["waiting"]),
            shorten(one["run_id"]),
            one["evidence"],
        ]
        for one in answer["items"]
    ]
    out().say_table(["ACCOUNT", "UNTIL", "WAITING", "RUN", "EVIDENCE"], rows)


def _until(hold: Mapping[str, Any]) -> str:
    if hold["stand"] in STANDS:
        return STANDS[hold["stand"]]
    return date_and_clock(hold["until"]) if hold["until"] else "you lift it"


def lift_hold(
    agent: Annotated[
        str, typer.Argument(metavar="AGENT", help="The agent's name.", show_default=False)
    ],
    family: Family = "",
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """End a hold now; the runs that wait for it follow one by one."""
    body = {"agent": agent, "family": family}
    answer = connect(data_dir).post("/quota/accounts/lift", body)
    if json_only:
        print_json(answer)
    else:
        out().say("Lifted. The runs that waited for it follow one by one.")
