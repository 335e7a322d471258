"""`runyard approvals`: list, approve and reject starts and merges that wait for a person."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.api.client import approval_calls
from app.api.client.protocol import Call
from app.cli.client.connection import Server, connect, find_project
from app.cli.output.options import DataDir, Json, SomeProject, example, group
from app.cli.output.terminal import Painted, Piece, err, out, print_json
from app.domain.ids import SEEN, shorten
from app.domain.projects.approvals import ApprovalKind, ApprovalState

Id = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help=f"The approval's id, or its last {SEEN} or more characters.",
        show_default=False,
    ),
]
_COLOURS = {ApprovalState.PENDING: "yellow", ApprovalState.APPROVED: "green"}


def register(app: typer.Typer) -> None:
    """Add the group `approvals`."""
    approvals = group("Approve or reject starts and merges.", "runyard approvals list")
    list_example = example("runyard approvals list --project shop", "runyard approvals list --all")
    approvals.command("list", epilog=list_example)(list_approvals)
    approve_example = example('runyard approvals approve 7f3k1m --comment "looks right"')
    approvals.command("approve", epilog=approve_example)(approve)
    reject_example = example('runyard approvals reject 7f3k1m --comment "not before Monday"')
    approvals.command("reject", epilog=reject_example)(reject)
    app.add_typer(approvals, name="approvals")


def list_approvals(
    project: SomeProject = None,
    every: Annotated[bool, typer.Option("--all", help="Include those that were answered.")] = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """List what waits for approval, newest first."""
    server = connect(data_dir)
    project_id = find_project(server, project)["id"] if project else None
    state = "all" if every else ApprovalState.PENDING
    page = server.ask(approval_calls.approvals(state=state, project_id=project_id))
    if json_only:
        print_json(page)
    elif page["items"]:
        header = ["APPROVAL", "PROJECT", "WHAT", "STATE", "HAS", "TITLE"]
        out().print_table(header, [_row(one) for one in page["items"]])
    else:
        err().print("No pending approvals." if not every else "No approvals.")


def approve(
    approval: Id,
    comment: Annotated[str, typer.Option(help="A comment.")] = "",
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Approve a start or a merge."""
    server = connect(data_dir)
    call = approval_calls.approve(_full(server, approval), comment)
    _print_answered(server, call, json_only=json_only)


def reject(
    approval: Id,
    comment: Annotated[str, typer.Option(help="The reason.", show_default=False)],
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Reject a start or a merge, for a reason."""
    server = connect(data_dir)
    call = approval_calls.reject(_full(server, approval), comment)
    _print_answered(server, call, json_only=json_only)


def _full(server: Server, approval: str) -> str:
    """Return a full id; an ending is looked for among the newest that are pending."""
    if approval.startswith("approval_"):
        return approval
    ending = approval.lstrip("…")
    known = [one["id"] for one in server.ask(approval_calls.approvals())["items"]]
    matches = [id_ for id_ in known if len(ending) >= SEEN and id_.endswith(ending)]
    # what is not known is left to the server's sentence
    return matches[0] if len(matches) == 1 else approval


def _print_answered(server: Server, call: Call[Any], *, json_only: bool) -> None:
    answered = server.ask(call)
    if json_only:
        print_json(answered)
        return
    what, state = _what(answered), str(answered["state"])
    if state == ApprovalState.PENDING:
        state = f"has {answered['approvals']} of {answered['needed']} approvals"
    out().print(f"{what}: {state}.")


def _what(approval: dict[str, Any]) -> str:
    if approval["kind"] == ApprovalKind.MERGE:
        return f"Merge of change request #{approval['change']}"
    return f"Start of {shorten(str(approval['run_id']))}"


def _row(approval: dict[str, Any]) -> list[Piece]:
    state = ApprovalState(approval["state"])
    return [
        shorten(str(approval["id"])),
        str(approval["project_name"]),
        _what(approval),
        Painted(state, _COLOURS.get(state, "dim")),
        f"{approval['approvals']} of {approval['needed']}",
        str(approval["title"]),
    ]
