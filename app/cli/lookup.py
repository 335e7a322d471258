"""From what people type to what the server calls it: short run ids, project names."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any
from urllib.parse import quote

from app.cli.connection import Misused, Refused, Server
from app.domain.ids import is_run_id

_ENDING = re.compile(r"[0-9A-Za-z_-]{6,80}", re.ASCII)
_LOOKED_AT = 20
_NAMED_AT_MOST = 5


def find_run(server: Server, typed: str) -> str:
    """The whole id of the run that `typed` names or ends. Raises Refused, Misused."""
    ending = typed.strip().removeprefix("…").removeprefix("...")
    if is_run_id(ending):
        return ending
    if not _ENDING.fullmatch(ending):
        raise Misused("Give a run's whole id, or at least its last 6 characters.")
    page = server.get("/runs", q=ending, limit=_LOOKED_AT)
    ids = [str(run["id"]) for run in page["items"] if str(run["id"]).endswith(ending)]
    if not ids:
        raise Refused(f"There is no run whose id ends in {ending}.")
    if len(ids) > 1:
        named = ", ".join(ids[:_NAMED_AT_MOST]) + (", …" if len(ids) > _NAMED_AT_MOST else "")
        raise Refused(f"Several runs end in {ending}: {named}")
    return ids[0]


def find_project(server: Server, typed: str) -> dict[str, Any]:
    """The project with this id or exact name. Raises Refused."""
    projects = server.get("/projects", include_archived=True)["items"]
    for field in ("id", "name"):
        for project in projects:
            if project.get(field) == typed:
                return project
    raise Refused(f"There is no project {typed}. {_instead(typed, projects)}")


def only_project(server: Server) -> dict[str, Any]:
    """The project that is meant where none is named. Raises Refused for none, Misused for many."""
    projects = server.get("/projects")["items"]
    there = [project for project in projects if not project.get("archived_at")]
    if not there:
        raise Refused(_instead("", projects))
    if len(there) > 1:
        how = "Name the project: with --project, or as `project` in a line of the file."
        raise Misused(f"{how} {_instead('', projects)}")
    return dict(there[0])


def _instead(typed: str, projects: list[dict[str, Any]]) -> str:
    """What may have been meant: near names, else some names, else how to make a first project."""
    names = [str(one["name"]) for one in projects if not one.get("archived_at")]
    by_lower = {name.lower(): name for name in names}
    near = [by_lower[one] for one in get_close_matches(typed.lower(), by_lower, 3)]
    if near:
        return f"Did you mean {' or '.join(near)}?"
    if not names:
        return "There are none yet: register one with: runyard projects add PATH_OR_URL"
    more = ", …" if len(names) > _NAMED_AT_MOST else "."
    return f"The projects are: {', '.join(names[:_NAMED_AT_MOST])}{more}"


def run_path(run_id: str, rest: str = "") -> str:
    """A run's path below the API, whatever the id contains."""
    return f"/runs/{quote(run_id, safe='')}{rest}"


def project_path(project: dict[str, Any], rest: str = "") -> str:
    """A project's path below the API."""
    return f"/projects/{quote(str(project['id']), safe='')}{rest}"
