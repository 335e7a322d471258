"""`runyard forges` and `runyard projects import`: forges, and their repositories as projects."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from app.api.client import calls, forge_calls
from app.api.client.protocol import only_given
from app.cli.client.connection import Misused, Refused, Server, connect
from app.cli.output.options import DataDir, Json, example, group
from app.cli.output.terminal import Painted, err, out, print_json
from app.domain.tracker.forges import ForgeKind, kind_name

Forge = Annotated[
    str, typer.Argument(metavar="FORGE", help="A forge's id or name.", show_default=False)
]
AppId = Annotated[
    str | None, typer.Option("--app-id", help="The id of a GitHub App, instead of a token.")
]
KeyFile = Annotated[
    Path | None, typer.Option("--private-key-file", help="The App's private key (PEM).")
]
_RIGHTS = {"push": "push", "pull_requests": "open pull requests", "issues": "change issues"}


def register(app: typer.Typer) -> None:
    """Add the group `forges`."""
    forges = group(
        "Manage forges, with their issues and pull requests.",
        "runyard forges add https://codeberg.org < token.txt",
        "runyard forges check codeberg.org",
    )
    forges.command("list", epilog=example("runyard forges list"))(list_forges)
    add = example(
        "runyard forges add https://codeberg.org",
        "runyard forges add https://git.example.org --name work < token.txt",
        "runyard forges add https://github.com --app-id 4711 --private-key-file runyard.pem",
    )
    forges.command("add", epilog=add)(add_forge)
    forges.command("check", epilog=example("runyard forges check codeberg.org"))(check_forge)
    edit = example(
        "runyard forges edit codeberg.org --new-token < token.txt",
        "runyard forges edit codeberg.org --name work",
    )
    forges.command("edit", epilog=edit)(edit_forge)
    hook = example(
        "runyard forges hook codeberg.org",
        "runyard forges hook codeberg.org --install acme/shop",
        "runyard forges hook codeberg.org --all",
    )
    forges.command("hook", epilog=hook)(show_hook)
    forges.command("remove", epilog=example("runyard forges remove work"))(remove_forge)
    app.add_typer(forges, name="forges")
    rotate = "runyard secrets rotate"
    secrets = group("Manage the key of the stored secrets.", rotate)
    secrets.command("rotate", epilog=example(rotate))(rotate_secrets)
    app.add_typer(secrets, name="secrets")


def list_forges(json_only: Json = False, data_dir: DataDir = None) -> None:
    """List the forges."""
    answer = connect(data_dir).ask(forge_calls.forges())
    if json_only:
        print_json(answer)
        return
    rows = [
        [one["name"], kind_name(one["kind"]), one["url"], one["acts_as"]["login"], _standing(one)]
        for one in answer["items"]
    ]
    out().print_table(["FORGE", "KIND", "ADDRESS", "ACTS AS", ""], rows)


def add_forge(
    url: Annotated[str, typer.Argument(metavar="URL", help="Its address.", show_default=False)],
    name: Annotated[
        str | None, typer.Option(help="Its name in Runyard (default: its host).")
    ] = None,
    kind: Annotated[
        ForgeKind | None, typer.Option(help="The kind of forge (default: detected).")
    ] = None,
    app_id: AppId = None,
    private_key_file: KeyFile = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Add a forge; its token is asked for, or read from standard input."""
    app = _app(app_id, private_key_file)
    server = connect(data_dir)
    token = None if app else _token()
    call = forge_calls.add_forge(url, token, kind=kind and kind.value, name=name, app=app)
    _print(server.ask(call), json_only=json_only)


def check_forge(forge: Forge, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Check what a forge's token may do, and what is missing."""
    _print(connect(data_dir).ask(forge_calls.check_forge(forge)), json_only=json_only)


def edit_forge(
    forge: Forge,
    name: Annotated[str | None, typer.Option(help="The new name.")] = None,
    new_token: Annotated[
        bool, typer.Option("--new-token", help="Ask for a new token, or read it from a pipe.")
    ] = False,
    app_id: AppId = None,
    private_key_file: KeyFile = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Rename a forge, or change its token or App."""
    app = _app(app_id, private_key_file)
    if name is None and not new_token and app is None:
        raise Misused("Say what to change: --name, --new-token or --app-id.")
    server = connect(data_dir)
    token = _token() if new_token else None
    call = forge_calls.change_forge(forge, name=name, token=token, app=app)
    _print(server.ask(call), json_only=json_only)


def show_hook(
    forge: Forge,
    install: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REPO", help="Install it in this repository, as OWNER/NAME; may be repeated."
        ),
    ] = None,
    all_of_them: Annotated[
        bool, typer.Option("--all", help="Install it in the repository of every project.")
    ] = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Print the address and secret of a forge's hooks, or install them."""
    server = connect(data_dir)
    wanted = list(install or ())
    if all_of_them:
        found = server.ask(forge_calls.hosted(forge))["items"]
        wanted += [one["full_name"] for one in found if one["project_id"] is not None]
    answer = server.ask(forge_calls.hook(forge, wanted))
    refused: dict[str, str] = answer["refused"]
    if json_only:
        print_json(answer if wanted else {name: answer[name] for name in ("url", "secret")})
    else:
        screen = out()
        screen.print(f"address  {answer['url']}")
        screen.print(f"secret   {answer['secret']}")
        for name in answer["installed"]:
            screen.print(Painted(f"installed in {name}", "green"))
        for name, because in refused.items():
            err().print(Painted(f"{name}: {because}", "yellow"))
    if refused:
        raise typer.Exit(1)


def rotate_secrets(json_only: Json = False, data_dir: DataDir = None) -> None:
    """Encrypt every stored secret with a new key.

    Servers with a separate key file need a copy of the new one, and a restart.
    """
    answer = connect(data_dir).ask(forge_calls.rotate_secrets())
    if json_only:
        print_json(answer)
    else:
        err().print(f"{answer['secrets']} secrets are now encrypted with a new key.")


def remove_forge(forge: Forge, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Remove a forge that no project uses; nothing changes there."""
    removed = connect(data_dir).ask(forge_calls.remove_forge(forge))
    if json_only:
        print_json(removed)
    else:
        err().print(f"Removed {removed['name']}. Its token can be revoked there now.")


def import_projects(
    repositories: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="REPO",
            help="Repositories as OWNER/NAME.",
            show_default=False,
        ),
    ] = None,
    forge: Annotated[str, typer.Option(help="A forge's id or name.", show_default=False)] = "",
    org: Annotated[str | None, typer.Option(help="Only repositories of this owner.")] = None,
    all_of_them: Annotated[
        bool, typer.Option("--all", help="Add every repository that is not a project yet.")
    ] = False,
    agent: Annotated[
        str | None, typer.Option(help="The agent of the new projects, such as claude.")
    ] = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Add repositories of a forge as projects, or list them."""
    if not forge:
        raise Misused("Name the forge with --forge.")
    server = connect(data_dir)
    answer = server.ask(forge_calls.hosted(forge))
    found = [one for one in answer["items"] if org in (None, one["full_name"].partition("/")[0])]
    if not repositories and not all_of_them:
        _list(found, json_only=json_only)
        return
    chosen = found if all_of_them else _named(found, repositories or [], forge)
    added, refused = _add(server, chosen, forge, agent)
    if json_only:
        print_json({"items": added})
    else:
        out().print_table(["PROJECT", "NAME"], [[one["id"], one["name"]] for one in added])
    for words in refused:
        err().print(Painted(words, "yellow"))
    if refused:
        raise typer.Exit(1)


def _add(
    server: Server, chosen: list[Any], forge: str, agent: str | None
) -> tuple[list[Any], list[str]]:
    """Add repositories that are no projects yet; return the projects, and what was refused."""
    added: list[Any] = []
    refused: list[str] = []
    for one in chosen:
        if one["project_id"] is not None:
            continue
        name = one["full_name"].partition("/")[2]
        given = {"name": name, "origin": one["clone_url"], "tracker": forge, "agent": agent}
        try:
            added.append(server.ask(calls.add_project(only_given(given))))
        except Refused as problem:
            refused.append(f"{one['full_name']}: {problem}")
    return added, refused


def _named(found: list[Any], names: list[str], forge: str) -> list[Any]:
    """Return the repositories of these names. Raises Misused if the forge does not show one."""
    by_name = {one["full_name"].lower(): one for one in found}
    unknown = [name for name in names if name.lower() not in by_name]
    if unknown:
        raise Misused(f"{forge} shows no repository {', '.join(unknown)}.")
    return [by_name[name.lower()] for name in names]


def _list(found: list[Any], *, json_only: bool) -> None:
    if json_only:
        print_json({"items": found})
        return
    rows = [
        [one["full_name"], one["project_id"] or ("" if one["may_push"] else "may not push")]
        for one in found
    ]
    out().print_table(["REPOSITORY", "PROJECT"], rows)


def _token() -> str:
    """Return the token from standard input, or ask for it; it is never an argument."""
    if sys.stdin.isatty():
        return str(typer.prompt("Token", hide_input=True, err=True))
    return sys.stdin.readline().strip()


def _app(app_id: str | None, key_file: Path | None) -> dict[str, str] | None:
    """Return a GitHub App with its private key, None if none is named. Raises Misused."""
    if app_id is None and key_file is None:
        return None
    if app_id is None or key_file is None:
        raise Misused("Give both: --app-id and --private-key-file.")
    try:
        return {"id": app_id, "private_key": key_file.read_text()}
    except (OSError, UnicodeDecodeError) as problem:
        raise Misused(f"{key_file} could not be read.") from problem


def _standing(forge: dict[str, Any]) -> Painted:
    trouble = forge["needs_attention"]
    return Painted(trouble, "yellow") if trouble else Painted("ready", "green")


def _print(forge: dict[str, Any], *, json_only: bool) -> None:
    if json_only:
        print_json(forge)
        return
    may = ", ".join(f"may {_RIGHTS[one]}" for one in forge["may"]) or "may do nothing"
    screen = out()
    screen.print(forge["id"])
    screen.print(f"{forge['name']} ({kind_name(forge['kind'])} {forge['version']})")
    screen.print(f"acts as {forge['acts_as']['login'] or 'an account it does not name'}, {may}")
    if forge["needs_attention"]:
        screen.print(Painted(forge["needs_attention"], "yellow"))
