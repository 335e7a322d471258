"""`runyard limits`, `quota` and `keys`: usage limits, quotas and idempotency keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from app.api.client import batch_calls, calls, system_calls
from app.cli.client.connection import connect, find_project
from app.cli.output.options import DataDir, Json, ProjectName, SomeProject, example, group
from app.cli.output.run_view import clock, date_and_clock
from app.cli.output.terminal import err, out, print_json
from app.domain.ids import shorten
from app.domain.quota import Counted, LimitOf, told_limit
from app.domain.text.durations import two_units
from app.domain.usage_limits import STAND_LABELS

Family = Annotated[
    str, typer.Option(help="The models that are limited (default: the limit on all models).")
]

Batches = Annotated[bool, typer.Option("--batches", help="Show your batch item quota instead.")]


def register(app: typer.Typer) -> None:
    """Add the group `limits`."""
    lift_example = example("runyard limits lift claude", "runyard limits lift claude --family opus")
    limits = group(
        "Show accounts at their usage limit, or lift a limit.",
        "runyard limits list",
        "runyard limits lift claude",
    )
    limits.command("list", epilog=example("runyard limits list"))(list_holds)
    limits.command("lift", epilog=lift_example)(lift_hold)
    app.add_typer(limits, name="limits")


def list_holds(json_only: Json = False, data_dir: DataDir = None) -> None:
    """List accounts at a usage limit, and until when."""
    answer = connect(data_dir).ask(system_calls.account_holds())
    if json_only:
        print_json(answer)
        return
    if not answer["items"]:
        err().print("No account is at its usage limit.")
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
    out().print_table(["ACCOUNT", "UNTIL", "WAITING", "RUN", "EVIDENCE"], rows)


def _until(hold: Mapping[str, Any]) -> str:
    if hold["stand"] in STAND_LABELS:
        return STAND_LABELS[hold["stand"]]
    return date_and_clock(hold["until"]) if hold["until"] else "you lift it"


def lift_hold(
    agent: Annotated[
        str, typer.Argument(metavar="AGENT", help="The agent's name.", show_default=False)
    ],
    family: Family = "",
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Lift a limit now; waiting runs start one at a time."""
    answer = connect(data_dir).ask(system_calls.lift_hold(agent, family))
    if json_only:
        print_json(answer)
    else:
        out().print("Limit lifted. Waiting runs start one at a time.")


def register_quota(app: typer.Typer) -> None:
    """Add the command `quota`."""
    lines = ("runyard quota", "runyard quota --batches --json", "runyard quota --project shop")
    app.command("quota", epilog=example(*lines))(show)


def show(
    project: SomeProject = None,
    batches: Batches = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Show how many runs you may still start.

    Also shows how many batch items, which have a separate window. With --project: how many runs
    of that repository are open, and how many may be.
    """
    server = connect(data_dir)
    if project:
        project_id = find_project(server, project)["id"]
        quota = server.ask(calls.concurrency(project_id))
        told = f"{quota['active']} of {quota['max']} concurrent runs are open."
    elif batches:
        quota = server.ask(batch_calls.batch_quota())
        told = _of_batches(quota)
    else:
        quota = server.ask(system_calls.quota())
        # after a lower limit, several runs have to leave the window first; with 0, none helps
        free = (quota.get("free_at") or quota["reset_at"]) if quota["limit"] else None
        told = _window_words(quota, "runs", "The next one comes back", free)
    if json_only:
        print_json(quota)
        return
    out().print(told)
    if project:
        return
    if batches:
        _print_own(Counted.BATCHES, quota)
    else:
        out().print(_of_batches(server.ask(batch_calls.batch_quota())))
        _print_own(Counted.RUNS, quota)


def _print_own(counted: Counted, quota: dict[str, Any]) -> None:
    of = LimitOf(quota.get("limit_of", LimitOf.SERVER))
    out().print(f"{told_limit(counted, quota['limit'], quota['window_seconds'], of)}.")


def _of_batches(quota: dict[str, Any]) -> str:
    then = "The oldest batch leaves the window"
    return _window_words(quota, "batch items", then, quota["reset_at"])


def _window_words(quota: dict[str, Any], what: str, then: str, when: str | None) -> str:
    window = two_units(quota["window_seconds"])
    told = f"{quota['remaining']} of {quota['limit']} {what} left, in any {window}."
    return f"{told} {then} at {clock(when)}." if when else told


def register_keys(app: typer.Typer) -> None:
    """Add the group `keys`."""
    reset_example = "runyard keys reset nightly-42 --project shop"
    keys = group("Release idempotency keys.", reset_example)
    keys.command("reset", epilog=example(reset_example))(reset_key)
    app.add_typer(keys, name="keys")


def reset_key(
    project: ProjectName,
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="The idempotency key.", show_default=False)
    ],
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Free a key: its next use starts a new run; the old run continues."""
    server = connect(data_dir)
    freed = server.ask(calls.reset_key(find_project(server, project)["id"], key))
    if json_only:
        print_json(freed)
    else:
        out().print(f"The key is free again; it had started {shorten(str(freed['run_id']))}.")
