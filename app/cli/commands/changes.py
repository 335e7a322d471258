"""`runyard changes`: list, read, review, merge, undo and close a project's change requests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from app.api.client import review_calls, tracker_calls
from app.cli.client.connection import Server, connect, find_project
from app.cli.commands.runs.read import print_diff
from app.cli.commands.runs.start import Starting, start
from app.cli.output.options import DataDir, Json, ProjectName, PushAnyway, example, group, spread
from app.cli.output.run_view import size_of
from app.cli.output.terminal import Painted, Piece, err, out, print_json
from app.domain.ids import shorten
from app.domain.tracker.ci import CiState
from app.domain.tracker.merge_waits import WAIT_WORDS, dropped_words
from app.domain.words import AfterClose, MergeWait, Side

Number = Annotated[
    int,
    typer.Argument(
        metavar="NUMBER", help="The change request's number.", min=1, show_default=False
    ),
]
_STATE_COLOURS = {"open": "green", "merged": "cyan", "closed": "dim"}


def register(app: typer.Typer) -> None:
    """Add the group `changes`."""
    changes = group("Manage change requests.", "runyard changes list -p shop")
    changes.command("list", epilog=example("runyard changes list -p shop"))(list_changes)
    changes.command("show", epilog=example("runyard changes show 4 -p shop"))(show_change)
    changes.command("diff", epilog=example("runyard changes diff 4 -p shop"))(read_diff)
    changes.command("merge", epilog=example("runyard changes merge 4 -p shop"))(merge_change)
    canceling = example("runyard changes cancel-merge 4 -p shop")
    changes.command("cancel-merge", epilog=canceling)(cancel_merge)
    changes.command("undo", epilog=example("runyard changes undo 4 -p shop"))(undo_change)
    closing = example('runyard changes close 4 -p shop --because "Too slow." --issue queue')
    changes.command("close", epilog=closing)(close_change)
    changes.command("comments", epilog=example("runyard changes comments 4 -p shop"))(list_comments)
    commenting = example("runyard changes comment 4 -p shop --file src/a.py --line 7 'Why?'")
    changes.command("comment", epilog=commenting)(comment_on_change)
    asking = example("runyard changes request-changes 4 -p shop --text 'Add a test.' --wait")
    changes.command("request-changes", epilog=asking)(spread(request_changes))
    resolving = example("runyard changes resolve 4 -p shop --wait")
    changes.command("resolve", epilog=resolving)(spread(resolve_conflicts))
    fixing = example("runyard changes fix-ci 4 -p shop --wait")
    changes.command("fix-ci", epilog=fixing)(spread(fix_ci))
    app.add_typer(changes, name="changes")


def list_changes(
    project: ProjectName,
    everything: Annotated[
        bool, typer.Option("--all", help="Include merged and closed ones.")
    ] = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """List a project's change requests, newest first."""
    server = connect(data_dir)
    answer = server.ask(tracker_calls.changes(find_project(server, project)["id"]))
    if json_only:
        print_json(answer)
        return
    shown = [one for one in answer["items"] if everything or one.get("state") == "open"]
    if shown:
        out().print_table(
            ["CHANGE", "STATE", "BRANCH", "SIZE", "TITLE"], [_row(one) for one in shown]
        )
    else:
        err().print("No change requests match.")


def show_change(
    project: ProjectName, number: Number, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Show a change request."""
    server, project_id = _place(project, data_dir)
    _print_result(server.ask(tracker_calls.change(project_id, number)), json_only=json_only)


def read_diff(project: ProjectName, number: Number, data_dir: DataDir = None) -> None:
    """Print what a change request changes, as a unified diff."""
    server, project_id = _place(project, data_dir)
    answer = server.send(tracker_calls.change_diff(project_id, number))
    print_diff(answer.content, is_cut=answer.headers.get("X-Diff-Truncated") == "true")


def merge_change(
    project: ProjectName,
    number: Number,
    push_anyway: PushAnyway = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Merge a change request, push it, close its issue.

    Where its forge has a merge queue, or waits for required checks, it merges it by itself later.
    """
    server, project_id = _place(project, data_dir)
    merged = server.ask(tracker_calls.merge(project_id, number, push_anyway=push_anyway))
    _print_result(merged, json_only=json_only)


def cancel_merge(
    project: ProjectName, number: Number, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Cancel the merge that a change waits for at its forge."""
    server, project_id = _place(project, data_dir)
    canceled = server.ask(tracker_calls.cancel_merge(project_id, number))
    _print_result(canceled, json_only=json_only)


def undo_change(
    project: ProjectName, number: Number, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Open a change request that reverts a merged one."""
    server, project_id = _place(project, data_dir)
    revert = server.ask(tracker_calls.undo_change(project_id, number))
    _print_result(revert, json_only=json_only)


def close_change(
    project: ProjectName,
    number: Number,
    because: Annotated[
        str | None,
        typer.Option(help="The reason; it goes into the prompt of the issue's next run."),
    ] = None,
    issue: Annotated[
        AfterClose, typer.Option(help="Its issue: back to the queue, kept parked, or closed.")
    ] = AfterClose.PARK,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Close a change request without merging it."""
    server, project_id = _place(project, data_dir)
    closed = server.ask(tracker_calls.close_change(project_id, number, because or None, issue))
    _print_result(closed, json_only=json_only)


def list_comments(
    project: ProjectName, number: Number, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """List a change request's comments, with your drafts."""
    server, project_id = _place(project, data_dir)
    answer = server.ask(review_calls.change_comments(project_id, number))
    if json_only:
        print_json(answer)
    elif answer["items"]:
        rows = [_comment_row(one) for one in answer["items"]]
        out().print_table(["COMMENT", "STATE", "AUTHOR", "PLACE", "TEXT"], rows)
    else:
        err().print("No comments yet.")


def comment_on_change(
    project: ProjectName,
    number: Number,
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT", help="The comment; - reads standard input.", show_default=False
        ),
    ],
    file: Annotated[str | None, typer.Option(help="The file (default: the whole change).")] = None,
    line: Annotated[
        int | None, typer.Option(min=1, help="The line (default: the whole file).")
    ] = None,
    side: Annotated[
        Side | None, typer.Option(help="The file before (old) or after the change (new).")
    ] = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Write a draft comment on a change request."""
    server, project_id = _place(project, data_dir)
    call = review_calls.comment_on_change(project_id, number, _given(text), file, line, side)
    written = server.ask(call)
    if json_only:
        print_json(written)
    else:
        out().print(str(written["id"]))


def request_changes(
    project: ProjectName,
    number: Number,
    text: Annotated[
        str | None, typer.Option(help="A comment on the whole change; - reads standard input.")
    ] = None,
    comment: Annotated[
        list[int] | None,
        typer.Option(min=1, help="A draft to send, by id; may be repeated (default: all)."),
    ] = None,
    *,
    starting: Starting,
) -> None:
    """Send your drafts to an agent; print the run's id."""
    server, project_id = _place(project, starting.data_dir)
    words = None if text is None else _given(text)
    call = partial(review_calls.request_changes, project_id, number, words, comment or None)
    start(server, call, starting)


def resolve_conflicts(project: ProjectName, number: Number, *, starting: Starting) -> None:
    """Have an agent resolve the conflicts; print the run's id."""
    server, project_id = _place(project, starting.data_dir)
    start(server, partial(review_calls.resolve_conflicts, project_id, number), starting)


def fix_ci(project: ProjectName, number: Number, *, starting: Starting) -> None:
    """Have an agent fix the failed CI; print the run's id."""
    server, project_id = _place(project, starting.data_dir)
    start(server, partial(review_calls.fix_ci, project_id, number), starting)


def _given(text: str) -> str:
    return sys.stdin.read() if text == "-" else text


def _comment_row(comment: dict[str, Any]) -> list[Piece]:
    place = str(comment.get("file") or "the whole change")
    place += f":{comment['line']}" if comment.get("line") else ""
    state = "draft" if comment["draft"] else f"round {comment['round']}"
    state += ", outdated" if comment["outdated"] else ""
    words = " ".join(str(comment["text"]).split())
    return [str(comment["id"]), state, str(comment["author"]), place, words]


def _place(project: str, data_dir: Path | None) -> tuple[Server, str]:
    server = connect(data_dir)
    return server, find_project(server, project)["id"]


def _print_result(change: dict[str, Any], *, json_only: bool) -> None:
    if json_only:
        print_json(change)
        return
    screen = out()
    screen.print(f"#{change['number']}  ", _state(change), f"  {change['title']}")
    screen.print(f"{change['branch']} into {change['base']}, {size_of(change)}")
    if change.get("closes"):
        screen.print(f"closes #{change['closes']}")
    if change.get("undone_by"):
        screen.print(f"undone by #{change['undone_by']}")
    if files := change.get("conflicts"):
        screen.print(f"conflicts in {', '.join(files)}")
    if change.get("forge_url"):
        screen.print(f"at {change['forge_url']}")
    if words := _ci_words(change.get("ci") or {}):
        screen.print(words)
    for words in _merge_words(change):
        screen.print(words)
    if change.get("run_id"):
        screen.print(f"by run {shorten(str(change['run_id']))}")
    for line in str(change.get("body") or "").splitlines():
        screen.print(f"  {line}")


def _merge_words(change: dict[str, Any]) -> Iterator[str]:
    """Yield what is said of merges of a change that no person makes."""
    if change.get("autoland_note"):
        yield str(change["autoland_note"])
    if waits_for := change.get("merge_waits"):
        yield f"{WAIT_WORDS[MergeWait(waits_for)]}."
    if change.get("merge_note"):
        yield dropped_words(str(change["merge_note"]))


def _ci_words(ci: dict[str, Any]) -> str:
    """Return `CI failed: build, lint`, with the page that says more; empty if nothing is known."""
    state = str(ci.get("state") or CiState.UNKNOWN)
    if state == CiState.UNKNOWN:
        return ""
    failed = ", ".join(map(str, ci.get("failed") or ()))
    more = f" ({ci['url']})" if ci.get("url") else ""
    return f"CI {state}{f': {failed}' if failed else ''}{more}"


def _row(change: dict[str, Any]) -> list[Piece]:
    size = f"+{change.get('additions', 0)} -{change.get('deletions', 0)}"
    run_id = str(change.get("run_id") or "")
    branch = str(change["branch"])
    short = branch.replace(run_id, shorten(run_id)) if run_id else branch
    return [f"#{change['number']}", _state(change), short, size, str(change["title"])]


def _state(change: dict[str, Any]) -> Painted:
    state = str(change["state"])
    if change.get("conflicts"):
        return Painted("conflicts", "yellow")
    if change.get("merge_waits"):
        return Painted("waits", "blue")
    return Painted(state, _STATE_COLOURS.get(state, ""))
