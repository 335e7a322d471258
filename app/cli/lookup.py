"""From what people type to what the server calls it: short run ids, project names."""

from __future__ import annotations

import re
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
    projects = server.get("/projects")["items"]
    for field in ("id", "name"):
        for project in projects:
            if project.get(field) == typed:
                return project
    names = ", ".join(str(project["name"]) for project in projects[:_NAMED_AT_MOST])
    known = f"The projects are: {names}." if names else "There are no projects yet."
    raise Refused(f"There is no project {typed}. {known}")


def run_path(run_id: str, rest: str = "") -> str:
    """A run's path below the API, whatever the id contains."""
    return f"/runs/{quote(run_id, safe='')}{rest}"


def project_path(project: dict[str, Any], rest: str = "") -> str:
    """A project's path below the API."""
    return f"/projects/{quote(str(project['id']), safe='')}{rest}"
