"""`runyard templates`: list, read, write and remove the templates of a project's prompts."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from app.api.client import prompt_calls
from app.cli.client.connection import Misused, connect, find_project
from app.cli.output.options import DataDir, Json, ProjectName, example, group
from app.cli.output.terminal import Painted, err, out, print_json

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The template's name.", show_default=False)
]
Body = Annotated[
    str | None,
    typer.Option(
        "--text", help="The text, with {{issue.title}} and other variables; - reads standard input."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the group `templates`."""
    templates = group(
        "Manage the templates of a project's prompts.",
        "runyard templates list -p shop",
        "runyard templates add nightly -p shop --default --text - < nightly.md",
    )
    templates.command("list", epilog=example("runyard templates list -p shop"))(list_templates)
    show = example(
        "runyard templates show nightly -p shop", "runyard templates show nightly -p shop --at 1"
    )
    templates.command("show", epilog=show)(show_template)
    add = example("runyard templates add small -p shop --text 'Do only this: {{task}}'")
    templates.command("add", epilog=add)(add_template)
    edit = example(
        "runyard templates edit nightly -p shop --text - < nightly.md",
        "runyard templates edit nightly -p shop --default",
    )
    templates.command("edit", epilog=edit)(edit_template)
    remove = example("runyard templates remove nightly -p shop")
    templates.command("remove", epilog=remove)(remove_template)
    app.add_typer(templates, name="templates")


def list_templates(project: ProjectName, json_only: Json = False, data_dir: DataDir = None) -> None:
    """List a project's templates."""
    server = connect(data_dir)
    answer = server.ask(prompt_calls.templates(find_project(server, project)["id"]))
    if json_only:
        print_json(answer)
        return
    rows = [[_label(one), _kind(one), _first_line(one)] for one in answer["items"]]
    out().print_table(["TEMPLATE", "KIND", "BEGINS"], rows)


def show_template(
    project: ProjectName,
    name: Name,
    at: Annotated[int | None, typer.Option(min=1, help="An earlier version.")] = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Show a template."""
    server = connect(data_dir)
    project_id = find_project(server, project)["id"]
    _print(server.ask(prompt_calls.template(project_id, name, at)), json_only=json_only)


def add_template(
    project: ProjectName,
    name: Name,
    text: Body = None,
    default: Annotated[
        bool, typer.Option("--default", help="Use it for runs without a task or an issue.")
    ] = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Add a template."""
    given = _given(text)
    if given is None:
        raise Misused("Give the template's text with --text.")
    server = connect(data_dir)
    project_id = find_project(server, project)["id"]
    added = server.ask(prompt_calls.add_template(project_id, name, given, default=default))
    _print(added, json_only=json_only)


def edit_template(
    project: ProjectName,
    name: Name,
    text: Body = None,
    default: Annotated[
        bool | None,
        typer.Option(
            "--default/--no-default", help="Whether runs without a task or an issue use it."
        ),
    ] = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Change a template's text, or make it the default."""
    given = _given(text)
    if given is None and default is None:
        raise Misused("Say what to change: --text, --default or --no-default.")
    server = connect(data_dir)
    project_id = find_project(server, project)["id"]
    call = prompt_calls.change_template(project_id, name, text=given, default=default)
    _print(server.ask(call), json_only=json_only)


def remove_template(
    project: ProjectName, name: Name, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Remove a template; waiting runs keep it."""
    server = connect(data_dir)
    project_id = find_project(server, project)["id"]
    removed = server.ask(prompt_calls.remove_template(project_id, name))
    if json_only:
        print_json(removed)
    else:
        err().print(f"Removed {_label(removed)}.")


def _given(text: str | None) -> str | None:
    return sys.stdin.read() if text == "-" else text


def _label(template: dict[str, Any]) -> str:
    return f"{template['name']}@{template['version']}"


def _kind(template: dict[str, Any]) -> Painted:
    words = ["built in"] if template.get("built_in") else []
    words += ["default"] if template["default"] else []
    return Painted(", ".join(words), "green" if template["default"] else "")


def _first_line(template: dict[str, Any]) -> str:
    return str(template["text"]).strip().partition("\n")[0][:60]


def _print(template: dict[str, Any], *, json_only: bool) -> None:
    if json_only:
        print_json(template)
        return
    screen = out()
    kind = _kind(template)
    screen.print(_label(template), *(["  ", kind] if kind.text else []))
    for line in str(template["text"]).splitlines():
        screen.print(f"  {line}")
