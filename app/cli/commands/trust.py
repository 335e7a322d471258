"""`runyard issues approve` and `runyard projects trust`: a person looks, and the loop goes on."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.api.client import calls, tracker_calls
from app.cli.client.connection import connect, find_project
from app.cli.output.options import DataDir, Json, ProjectArgument, ProjectName
from app.cli.output.terminal import out, print_json
from app.domain.tracker.issue_trust import text_difference

Look = Annotated[bool, typer.Option("--look", help="Only show what changed.")]


def approve_issue(
    project: ProjectName,
    number: Annotated[
        int,
        typer.Argument(metavar="NUMBER", help="The issue's number.", min=1, show_default=False),
    ],
    look: Look = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Approve an issue's text; print what changed since the label."""
    server = connect(data_dir)
    project_id = find_project(server, project)["id"]
    text = server.ask(tracker_calls.issue_text(project_id, number))
    if not json_only:
        names = ("title_was", "body_was", "title", "body")
        for line in text_difference(*(text[name] for name in names)).splitlines():
            out().print(line)
    if look:
        _tell(text, json_only=json_only, words=text["because"] or "Nobody needs to look at it.")
        return
    issue = server.ask(tracker_calls.approve_text(project_id, number, text["sha256"]))
    _tell(issue, json_only=json_only, words=f"The text of #{number} is approved.")


def trust_project(
    project: ProjectArgument, look: Look = False, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Trust base as it is; print what changed since the last look."""
    server = connect(data_dir)
    found = find_project(server, project)
    state = server.ask(calls.state(found["id"]))
    if not json_only:
        for line in state["diff"].splitlines():
            out().print(line)
    commit = state["commit"]
    if look or commit is None:
        _tell(state, json_only=json_only, words=state["hold"] or "Nobody needs to look at it.")
        return
    answer = server.ask(calls.trust(found["id"], commit))
    _tell(answer, json_only=json_only, words=f"{answer['name']} is trusted at {commit[:7]}.")


def _tell(answer: dict[str, Any], *, json_only: bool, words: str) -> None:
    if json_only:
        print_json(answer)
    else:
        out().print(words)
