"""What a shell completes with: project names and run ids, asked of the server, or nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from app.cli.client.connection import Misused, Refused, Unreachable, connect
from app.domain.ids import is_run_id
from app.domain.words import Status

PATIENCE_SECONDS = 0.7
_ASKED_FOR = 100
# Shells evaluate what is proposed to them: a name that could do something is told by its id.
_HARMLESS = re.compile(r"\w[\w.@+-]*")
_ENDING = 6


def project_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of projects that begin as typed; empty where the server does not answer at once."""
    projects = _ask(ctx, "/projects", include_archived=True)
    names = [_harmless(one) for one in projects if one.keys() >= {"id", "name"}]
    return [name for name in names if name.startswith(incomplete)]


def run_endings(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids of runs, newest first, as typed: whole after `run_`, else their endings."""
    page = _ask(ctx, "/runs", limit=_ASKED_FOR)
    statuses = [status.value for status in Status]
    known = [one for one in page if one.get("status") in statuses and is_run_id(str(one.get("id")))]
    runs = [(str(one["id"]), str(one["status"])) for one in known]
    if not incomplete.startswith("r"):
        runs = [(run_id[-_ENDING:], status) for run_id, status in runs]
    return [(run_id, status) for run_id, status in runs if run_id.startswith(incomplete)]


def _ask(ctx: typer.Context, path: str, **words: Any) -> list[dict[str, Any]]:
    """The items of a list, asked with little patience; none where the server gives no answer."""
    folder = ctx.params.get("data_dir")
    try:
        server = replace(connect(Path(folder) if folder else None), patience=PATIENCE_SECONDS)
        return [dict(one) for one in server.get(path, **words)["items"]]
    except (Misused, Refused, Unreachable, KeyError, TypeError, ValueError):
        return []


def _harmless(project: dict[str, object]) -> str:
    name = str(project["name"])
    return name if _HARMLESS.fullmatch(name) else str(project["id"])
