"""Shell completion: project names and run ids from the server, or nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from app.api.client import calls
from app.api.client.protocol import Call
from app.cli.client.connection import Misused, Refused, Unreachable, connect
from app.domain.ids import is_run_id
from app.domain.words import Status

PATIENCE_SECONDS = 0.7
_ASKED_FOR = 100
# Shells evaluate completions: for a name with special characters, its id is proposed.
_HARMLESS = re.compile(r"\w[\w.@+-]*")
_ENDING = 6


def project_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return project names that begin as typed; empty if the server does not answer quickly."""
    projects = _ask(ctx, calls.projects())
    names = [_harmless(one) for one in projects if one.keys() >= {"id", "name"}]
    return [name for name in names if name.startswith(incomplete)]


def run_endings(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return run ids that begin as typed, newest first, or their endings that do."""
    page = _ask(ctx, calls.runs(limit=_ASKED_FOR))
    statuses = [status.value for status in Status]
    known = [one for one in page if one.get("status") in statuses and is_run_id(str(one.get("id")))]
    runs = [(str(one["id"]), str(one["status"])) for one in known]
    # an ending may begin with the letters of the prefix, too
    if not incomplete or not any(run_id.startswith(incomplete) for run_id, _ in runs):
        runs = [(run_id[-_ENDING:], status) for run_id, status in runs]
    return [(run_id, status) for run_id, status in runs if run_id.startswith(incomplete)]


def _ask(ctx: typer.Context, call: Call[Any]) -> list[dict[str, Any]]:
    """Return the items of a list, with a short timeout; empty if the server gives no answer."""
    folder = ctx.params.get("data_dir")
    try:
        server = replace(connect(Path(folder) if folder else None), patience=PATIENCE_SECONDS)
        return [dict(one) for one in server.ask(call)["items"]]
    except (Misused, Refused, Unreachable, KeyError, TypeError, ValueError):
        return []


def _harmless(project: dict[str, object]) -> str:
    name = str(project["name"])
    return name if _HARMLESS.fullmatch(name) else str(project["id"])
