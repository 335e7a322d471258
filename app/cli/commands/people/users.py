"""`runyard users` and `runyard organisations`: the people of a team, and their roles."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.api.client import people_calls
from app.cli.client.connection import Misused, Server, connect, find_project
from app.cli.output.options import DataDir, Json, example, group
from app.cli.output.run_view import date_and_clock
from app.cli.output.terminal import Painted, Piece, err, out, print_json
from app.domain.people.roles import Role

Who = Annotated[
    str,
    typer.Argument(metavar="PERSON", help="An e-mail address or an id.", show_default=False),
]
SomeRole = Annotated[Role, typer.Option("--role", help="The role in the organisation.")]
DEFAULT = "default"
NO_LIMIT = "has no personal limit; that of the role or the server applies"
InProjects = Annotated[
    list[str] | None,
    typer.Option(
        "--in",
        metavar="PROJECT=ROLE",
        help="A higher role in a project; may be repeated.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the groups `users` and `organisations`."""
    inviting = "runyard users invite anna@example.com --role operator"
    users = group("Invite people, and change what they may do.", "runyard users list", inviting)
    users.command("list", epilog=example("runyard users list"))(list_users)
    invite_example = example(inviting, "runyard users invite bo@example.com --in shop=operator")
    users.command("invite", epilog=invite_example)(invite)
    users.command("link", epilog=example("runyard users link anna@example.com"))(link)
    role_example = example(
        "runyard users role anna@example.com admin",
        "runyard users role bo@example.com user --in shop=operator",
    )
    users.command("role", epilog=role_example)(set_role)
    quota_example = example(
        "runyard users quota bo@example.com 20", "runyard users quota bo@example.com default"
    )
    users.command("quota", epilog=quota_example)(set_quota)
    agents_example = example("runyard users agents bo@example.com claude codex")
    users.command("agents", epilog=agents_example)(set_agents)
    users.command("disable", epilog=example("runyard users disable bo@example.com"))(disable)
    users.command("enable", epilog=example("runyard users enable bo@example.com"))(enable)
    app.add_typer(users, name="users")
    adding = "runyard organisations add acme"
    places = group("Keep teams on this server apart.", adding)
    listing = "runyard organisations list"
    places.command("list", epilog=example(listing))(list_organisations)
    places.command("add", epilog=example(adding))(add_organisation)
    app.add_typer(places, name="organisations")


def list_users(json_only: Json = False, data_dir: DataDir = None) -> None:
    """List the people of your organisation."""
    answer = connect(data_dir).ask(people_calls.people())
    if json_only:
        print_json(answer)
        return
    out().print_table(["NAME", "E-MAIL", "ROLE", ""], [_row(one) for one in answer["items"]])


def invite(
    email: Annotated[
        str, typer.Argument(metavar="EMAIL", help="The e-mail address.", show_default=False)
    ],
    name: Annotated[str, typer.Option(help="The name to display (default: the address).")] = "",
    role: SomeRole = Role.USER,
    projects: InProjects = None,
    organisation: Annotated[
        str | None, typer.Option(help="The organisation (default: yours).")
    ] = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Invite a person; prints a one-time link for setting a password."""
    server = connect(data_dir)
    call = people_calls.invite(
        email,
        name=name,
        role=role.value,
        organisation=organisation,
        projects=_projects(server, projects),
    )
    invited = server.ask(call)
    if json_only:
        print_json(invited)
        return
    out().print(f"{invited['name']} is invited as {invited['role']}.")
    _print_link(invited["invitation"])


def link(who: Who, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Create a new password link, if the old one is lost."""
    server = connect(data_dir)
    made = server.ask(people_calls.invite_again(_id_of(server, who)))
    if json_only:
        print_json(made)
    else:
        _print_link(made)


def set_role(
    who: Who,
    role: Annotated[Role, typer.Argument(help="The role in the organisation.", show_default=False)],
    projects: InProjects = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Change a person's role; their browser sessions end."""
    server = connect(data_dir)
    changes: dict[str, Any] = {"role": role.value}
    if projects is not None:
        changes["projects"] = _projects(server, projects)
    _change(server, who, changes, json_only=json_only)


def set_quota(
    who: Who,
    limit: Annotated[
        str,
        typer.Argument(
            metavar="N|default",
            help="How many runs at most; 0 for none, default for the limit of the role or server.",
            show_default=False,
        ),
    ],
    batches: Annotated[
        bool, typer.Option("--batches", help="Limit batch items, not runs.")
    ] = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Limit how many runs a person may start in the quota's window."""
    if limit != DEFAULT and not (limit.isascii() and limit.isdigit()):
        raise Misused(f"Write a number, or {DEFAULT}: {limit}")
    server = connect(data_dir)
    places = None if limit == DEFAULT else int(limit)
    field = "batch_quota" if batches else "run_quota"
    changed = server.ask(people_calls.change_person(_id_of(server, who), **{field: places}))
    if json_only:
        print_json(changed)
        return
    noun = "batch item" if batches else "run"
    words = f"may start {places} {noun}{'' if places == 1 else 's'} in the quota's window"
    out().print(f"{changed['name']} {NO_LIMIT if places is None else words}.")


def set_agents(
    who: Who,
    agents: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="AGENT",
            help="The agents that are allowed; none given: all.",
            show_default=False,
        ),
    ] = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Limit which agents a person may start; without names, all."""
    server = connect(data_dir)
    changed = server.ask(people_calls.change_person(_id_of(server, who), agents=agents or []))
    if json_only:
        print_json(changed)
        return
    out().print(f"{changed['name']} may start {', '.join(changed['agents']) or 'any agent'}.")


def disable(who: Who, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Keep a person out; their sessions and tokens end."""
    _change(connect(data_dir), who, {"disabled": True}, json_only=json_only)


def enable(who: Who, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Let a disabled person in again."""
    _change(connect(data_dir), who, {"disabled": False}, json_only=json_only)


def list_organisations(json_only: Json = False, data_dir: DataDir = None) -> None:
    """List the organisations that you can see."""
    answer = connect(data_dir).ask(people_calls.organisations())
    if json_only:
        print_json(answer)
        return
    rows: list[list[Piece]] = [[one["name"], one["id"]] for one in answer["items"]]
    out().print_table(["ORGANISATION", "ID"], rows)


def add_organisation(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.", show_default=False)],
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Create an organisation; invite its first admin afterwards."""
    made = connect(data_dir).ask(people_calls.add_organisation(name))
    if json_only:
        print_json(made)
        return
    out().print(f"{made['name']} was created.")
    err().print(f"Next: runyard users invite EMAIL --role admin --organisation {made['name']}")


def _change(server: Server, who: str, changes: dict[str, Any], *, json_only: bool) -> None:
    changed = server.ask(people_calls.change_person(_id_of(server, who), **changes))
    if json_only:
        print_json(changed)
        return
    state = "is disabled" if changed["disabled"] else f"has the role {changed['role']}"
    out().print(f"{changed['name']} {state}.")


def _id_of(server: Server, who: str) -> str:
    """Return a person's id; an unknown one is left to the server's sentence."""
    if who.startswith("person_"):
        return who
    people = server.ask(people_calls.people())["items"]
    email = who.strip().casefold()
    return next((str(one["id"]) for one in people if one["email"] == email), who)


def _projects(server: Server, given: list[str] | None) -> dict[str, str]:
    """Return roles by project id from `project=role`. Raises Misused."""
    found: dict[str, str] = {}
    for one in given or ():
        project, is_given, role = one.rpartition("=")
        if not is_given or role not in list(Role):
            words = ", ".join(Role)
            raise Misused(f"Write --in PROJECT=ROLE, with one of {words}: {one}")
        found[str(find_project(server, project)["id"])] = role
    return found


def _print_link(invitation: dict[str, Any]) -> None:
    out().print(str(invitation["url"]))
    err().print(f"It works once, until {date_and_clock(invitation['expires_at'])}.")


def _row(person: dict[str, Any]) -> list[Piece]:
    state: Piece = ""
    if person["disabled"]:
        state = Painted("disabled", "red")
    elif person["email"] and not person["can_sign_in"]:
        state = Painted("invited", "yellow")
    return [person["name"], person["email"] or "", person["role"], state]
