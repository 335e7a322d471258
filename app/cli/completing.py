"""What a shell completes with: project names and run ids, asked of the server, or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import typer

from app.cli.connection import Misused, Refused, Server, Unreachable, connect
from app.domain.ids import is_run_id
from app.domain.words import Status

PATIENCE_SECONDS = 0.7
_ASKED_FOR = 100
# Shells evaluate what is proposed to them: a name that could do something is told by its id.
_HARMLESS = re.compile(r"\w[\w.@+-]*")
_ENDING = 6


def project_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of projects that begin as typed; empty where the server does not answer at once."""
    names: list[str] = []
    with _asking(ctx) as server:
        projects = server.get("/projects", include_archived=True)["items"]
        names = [_harmless(one) for one in projects]
    return [name for name in names if name.startswith(incomplete)]


def run_endings(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids of runs, newest first, as typed: whole after `run_`, else their endings."""
    runs: list[tuple[str, str]] = []
    with _asking(ctx) as server:
        page = server.get("/runs", limit=_ASKED_FOR)["items"]
        known = [one for one in page if is_run_id(str(one["id"]))]
        runs = [(str(one["id"]), Status(one["status"]).value) for one in known]
    if not incomplete.startswith("r"):
        runs = [(run_id[-_ENDING:], status) for run_id, status in runs]
    return [(run_id, status) for run_id, status in runs if run_id.startswith(incomplete)]


@contextmanager
def _asking(ctx: typer.Context) -> Iterator[Server]:
    """A server with little patience; leaves the block quietly where it gives no answer."""
    folder = ctx.params.get("data_dir")
    try:
        yield replace(connect(Path(folder) if folder else None), patience=PATIENCE_SECONDS)
    except (Misused, Refused, Unreachable, KeyError, TypeError, ValueError):
        return


def _harmless(project: dict[str, object]) -> str:
    name = str(project["name"])
    return name if _HARMLESS.fullmatch(name) else str(project["id"])
