"""`runyard notifications`, `stuck` and `retention`: receivers, quarantine and kept files."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.api.client import calls, system_calls
from app.cli.client.connection import Refused, connect, find_project
from app.cli.output.options import DataDir, Json, example, group
from app.cli.output.run_view import date_and_clock
from app.cli.output.terminal import Painted, Piece, err, out, print_json
from app.domain.formatting import size_words
from app.domain.ids import shorten


def register(app: typer.Typer) -> None:
    """Add the group `notifications`."""
    listing, trying = "runyard notifications list", "runyard notifications test"
    choosing = "runyard notifications choose needs_you,failed --project shop"
    notifications = group("List and test receivers, and choose what is sent.", listing, choosing)
    notifications.command("list", epilog=example(listing))(list_receivers)
    notifications.command("test", epilog=example(trying))(try_receivers)
    notifications.command("choices", epilog=example("runyard notifications choices"))(list_choices)
    notifications.command("choose", epilog=example(choosing))(choose)
    app.add_typer(notifications, name="notifications")


def list_receivers(json_only: Json = False, data_dir: DataDir = None) -> None:
    """List receivers, pending messages and the last results."""
    answer = connect(data_dir).ask(system_calls.notifications())
    if json_only:
        print_json(answer)
    elif answer["items"]:
        rows = [_row(one) for one in answer["items"]]
        out().print_table(["RECEIVER", "WAITING", "LAST MESSAGE"], rows)
    else:
        err().print("Notifications are off: set RUNYARD_NOTIFY_URLS and restart the server.")


def try_receivers(json_only: Json = False, data_dir: DataDir = None) -> None:
    """Send a test message to every receiver.

    Ignores quiet hours. Exits 1 if a receiver did not accept it.
    """
    answer = connect(data_dir).ask(system_calls.test_notifications())
    if json_only:
        print_json(answer)
    else:
        out().print_table(
            ["RECEIVER", "MESSAGE"],
            [[one["receiver"], _outcome(one["taken"], one["because"])] for one in answer["items"]],
        )
    if not all(one["taken"] for one in answer["items"]):
        raise Refused("Not every receiver accepted the message.")


def list_choices(json_only: Json = False, data_dir: DataDir = None) -> None:
    """List which messages you chose, by project."""
    _print_choices(connect(data_dir).ask(system_calls.subscriptions()), json_only=json_only)


def choose(
    kinds: Annotated[
        str,
        typer.Argument(
            metavar="KINDS",
            help="needs_you, delivered, failed, paused, with commas between them; "
            "none, or default to remove the choice.",
            show_default=False,
        ),
    ],
    project: Annotated[
        str | None,
        typer.Option(
            "--project", "-p", help="A project's id or name (default: all projects without one)."
        ),
    ] = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Choose which messages are sent.

    A project without its own choice uses the one for all projects, or RUNYARD_NOTIFY_KINDS if
    there is none.
    """
    words: dict[str, list[str] | None] = {"none": [], "default": None}
    wanted = words[kinds] if kinds in words else [one for one in kinds.split(",") if one]
    api = connect(data_dir)
    project_id = find_project(api, project)["id"] if project else None
    _print_choices(api.ask(system_calls.subscribe(project_id, wanted)), json_only=json_only)


def _print_choices(answer: dict[str, Any], *, json_only: bool) -> None:
    if json_only:
        print_json(answer)
        return
    rows = [[one["project_name"] or "all", _kinds(one["kinds"])] for one in answer["items"]]
    if not any(one["project_id"] is None for one in answer["items"]):
        rows.insert(0, ["all", _kinds(answer["kinds"])])
    out().print_table(["PROJECT", "MESSAGES"], rows)


def _kinds(kinds: list[str]) -> str:
    return " ".join(kinds) or "none"


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


def register_stuck(app: typer.Typer) -> None:
    """Add the group `stuck`."""
    stuck = group("List and retry operations that need manual help.", "runyard stuck list")
    stuck.command("list", epilog=example("runyard stuck list"))(list_stuck)
    key = "look.run_01k7v20n00n989m471oii09ah1"
    stuck.command("retry", epilog=example(f"runyard stuck retry {key}"))(retry)
    app.add_typer(stuck, name="stuck")


def list_stuck(json_only: Json = False, data_dir: DataDir = None) -> None:
    """List operations that failed five times and need help, oldest first."""
    held = connect(data_dir).ask(calls.stuck())["items"]
    if json_only:
        print_json({"items": held})
    elif held:
        rows = [[str(one["key"]), str(one["tries"]), str(one["because"])] for one in held]
        out().print_table(["WHAT", "TRIES", "BECAUSE"], rows)
    else:
        err().print("Nothing needs help.")


def retry(
    key: Annotated[
        str, typer.Argument(metavar="WHAT", help="The name that `list` shows.", show_default=False)
    ],
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Retry an operation once its cause is fixed."""
    freed = connect(data_dir).ask(calls.try_again(key))
    if json_only:
        print_json(freed)
    else:
        out().print(f"{freed['key']} will be retried.")


def register_retention(app: typer.Typer) -> None:
    """Add the command `retention`."""
    app.command("retention", epilog=example("runyard retention"))(show)


def show(json_only: Json = False, data_dir: DataDir = None) -> None:
    """Show what is kept and what will be deleted next.

    Everything is shown for an hour before it is deleted. Copies with unmerged work are never
    deleted automatically.
    """
    kept = connect(data_dir).ask(system_calls.retention())
    if json_only:
        print_json(kept)
        return
    copies = kept["copies"]
    out().print(f"Logs: {kept['kept_runs']}, {size_words(kept['kept_bytes'])}.")
    staying = f"{copies['staying']} with work that stays, {size_words(copies['staying_bytes'])}"
    out().print(f"Working copies: {copies['kept']}, {size_words(copies['bytes'])}; {staying}.")
    rows = [
        [
            *(what, shorten(str(one["run_id"])), size_words(one["bytes"]), str(one["because"])),
            date_and_clock(one["goes_at"]),
        ]
        for what, some in (("log", kept), ("copy", copies))
        for one in some["leaving"]
    ]
    if rows:
        out().print_table(["GOES NEXT", "RUN", "SIZE", "BECAUSE", "FROM"], rows)
    else:
        out().print("Nothing to delete.")
