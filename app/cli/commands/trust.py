"""`runyard issues approve` and `projects trust`: a person approves what the loop waits for."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.api.client import calls, tracker_calls
from app.cli.client.connection import Misused, connect, find_project
from app.cli.output.options import DataDir, Json, ProjectArgument, ProjectName
from app.cli.output.terminal import out, print_json
from app.domain.tracker.issue_trust import text_difference

# characters of a comment's digest that name it
SHOWN = 12
Look = Annotated[bool, typer.Option("--look", help="Only show what changed.")]


def approve_issue(
    project: ProjectName,
    number: Annotated[
        int,
        typer.Argument(metavar="NUMBER", help="The issue's number.", min=1, show_default=False),
    ],
    look: Look = False,
    comment: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SHA256",
            help="A comment to pass on to agents, by the hash that --look prints; may be repeated.",
        ),
    ] = None,
    no_comments: Annotated[
        bool, typer.Option("--no-comments", help="Pass none of these comments on to agents.")
    ] = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Approve an issue's text; print what changed in it.

    Comments by people without write access are shown, too; agents get only those that you name
    with --comment.
    """
    server = connect(data_dir)
    project_id = find_project(server, project)["id"]
    text = server.ask(tracker_calls.issue_text(project_id, number))
    comments: list[dict[str, Any]] = text.get("comments") or []
    if not json_only:
        names = ("title_was", "body_was", "title", "body")
        for line in text_difference(*(text[name] for name in names)).splitlines():
            out().print(line)
        for one in comments:
            _print_comment(one)
    if look:
        _tell(text, json_only=json_only, words=text["because"] or "Nothing waits for approval.")
        return
    if comment and no_comments:
        raise Misused("Use either --comment or --no-comments.")
    ticked = [_named(comments, one) for one in comment or ()]
    kept = None if not comment and not no_comments else ticked
    issue = server.ask(tracker_calls.approve_text(project_id, number, text["sha256"], kept))
    _tell(issue, json_only=json_only, words=f"The text of #{number} is approved.")


def trust_project(
    project: ProjectArgument, look: Look = False, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Trust the base branch as it is; print what changed in it."""
    server = connect(data_dir)
    found = find_project(server, project)
    state = server.ask(calls.state(found["id"]))
    if not json_only:
        for line in state["diff"].splitlines():
            out().print(line)
    commit = state["commit"]
    if look or commit is None:
        _tell(state, json_only=json_only, words=state["hold"] or "Nothing waits for approval.")
        return
    answer = server.ask(calls.trust(found["id"], commit))
    _tell(answer, json_only=json_only, words=f"{answer['name']} is trusted at {commit[:7]}.")


def _print_comment(comment: dict[str, Any]) -> None:
    mark = ", in prompts" if comment["ticked"] else ""
    out().print(f"comment {comment['sha256'][:SHOWN]} by {comment['author']}{mark}:")
    for line in comment["body"].splitlines():
        out().print(f"  {line}")


def _named(comments: list[dict[str, Any]], begin: str) -> str:
    """Return the digest that begins so."""
    # a count would name another comment once one is removed
    found = {str(one["sha256"]) for one in comments if str(one["sha256"]).startswith(begin)}
    if len(begin) < SHOWN or len(found) != 1:
        raise Misused(f"{begin!r} does not name one comment: use what --look prints.")
    return found.pop()


def _tell(answer: dict[str, Any], *, json_only: bool, words: str) -> None:
    if json_only:
        print_json(answer)
    else:
        out().print(words)
