"""`runyard notifications`: who is told, and a message to try it."""

from __future__ import annotations

from typing import Any

import typer

from app.cli.connection import Refused, connect
from app.cli.options import DataDir, Json, example, group
from app.cli.terminal import Painted, Piece, err, out, print_json


def register(app: typer.Typer) -> None:
    """Add the group `notifications`."""
    listing, trying = "runyard notifications list", "runyard notifications test"
    notifications = group("See who is told of what happens, and try it.", listing, trying)
    notifications.command("list", epilog=example(listing))(list_receivers)
    notifications.command("test", epilog=example(trying))(try_receivers)
    app.add_typer(notifications, name="notifications")


def list_receivers(json_only: Json = False, data_dir: DataDir = None) -> None:
    """List the receivers, what waits for each and its last outcome."""
    answer = connect(data_dir).get("/notifications")
    if json_only:
        print_json(answer)
    elif answer["items"]:
        rows = [_row(one) for one in answer["items"]]
        out().say_table(["RECEIVER", "WAITING", "LAST MESSAGE"], rows)
    else:
        err().say("Notifications are off: set RUNYARD_NOTIFY_URLS and start the server again.")


def try_receivers(json_only: Json = False, data_dir: DataDir = None) -> None:
    """Send every receiver a message now.

    Quiet hours do not count. It exits 1 where a receiver did not take it.
    """
    answer = connect(data_dir).post("/notifications/test", {})
    if json_only:
        print_json(answer)
    else:
        out().say_table(
            ["RECEIVER", "MESSAGE"],
            [[one["receiver"], _outcome(one["taken"], one["because"])] for one in answer["items"]],
        )
    if not all(one["taken"] for one in answer["items"]):
        raise Refused("Not every receiver took the message.")


def _row(one: dict[str, Any]) -> list[Piece]:
    if one["problem"]:
        last: Piece = Painted(one["problem"], "yellow")
    elif one["last_at"] is None:
        last = "none yet"
    else:
        last = _outcome(one["last_taken"], one["last_because"])
    return [one["receiver"], str(one["pending"]), last]


def _outcome(taken: bool, because: str | None) -> Painted:
    return Painted("taken", "green") if taken else Painted(because or "being sent", "yellow")
