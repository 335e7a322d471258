"""What this machine has for Runyard, each finding with how to mend it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.domain.quota_rules import LimitsMode
from app.services.ports import Agents

GIT_FLOOR = (2, 38)
SQLITE_SAFE = (3, 51, 3)


@dataclass(frozen=True)
class Checked:
    """One line: `level` is ok, look or none."""

    level: str
    check: str
    found: str
    advice: str = ""


@dataclass(frozen=True)
class Premises:
    """What the server knows of itself: bind address, database kind, data folder, versions."""

    bind: str
    database: str
    data_dir: Path
    nicegui: str
    git: Callable[[], tuple[int, ...]]
    sandbox: Callable[[], str | None]
    limits: Callable[[], LimitsMode]


def examine(agents: Agents, premises: Premises) -> list[Checked]:
    """Every finding, agents first."""
    found = [
        Checked("ok", one.name, one.version or "installed, version unknown")
        if one.installed
        else Checked("none", one.name, "not installed")
        for one in agents.findings()
    ]
    return [
        *found,
        _git(premises.git()),
        _database(premises.database),
        Checked("ok", "nicegui", premises.nicegui),
        _sandbox(premises.sandbox()),
        Checked("ok", "bind", premises.bind),
        _data_dir(premises.data_dir),
        _limits(premises.limits()),
    ]


def _git(version: tuple[int, ...]) -> Checked:
    found = ".".join(map(str, version)) or "not found"
    if version >= GIT_FLOOR:
        return Checked("ok", "git", found)
    floor = ".".join(map(str, GIT_FLOOR))
    return Checked("look", "git", found, f"Install git {floor} or newer.")


def _database(kind: str) -> Checked:
    if kind != "SQLite":
        return Checked("ok", "database", kind)
    version = sqlite3.sqlite_version_info
    found = f"SQLite {sqlite3.sqlite_version}"
    if version >= SQLITE_SAFE:
        return Checked("ok", "database", found)
    return Checked(
        "ok",
        "database",
        found,
        "Older than 3.51.3: one writer and one checkpointer keep its bug away.",
    )


def _sandbox(path: str | None) -> Checked:
    if path:
        return Checked(
            "ok", "sandbox", f"bubblewrap found; runs are unsandboxed unless asked: {path}"
        )
    return Checked(
        "look", "sandbox", "bubblewrap not found: runs are unsandboxed", "apt install bubblewrap"
    )


def _data_dir(folder: Path) -> Checked:
    mode = folder.stat().st_mode & 0o777
    if mode & 0o077:
        return Checked("look", "data folder", f"{folder} · {mode:o}", f"chmod 700 {folder}")
    return Checked("ok", "data folder", f"{folder} · {mode:o}")


def _limits(mode: LimitsMode) -> Checked:
    if mode is not LimitsMode.DEGRADED:
        return Checked("ok", "limiter mode", mode)
    return Checked(
        "look",
        "limiter mode",
        "limits degraded: Redis does not answer",
        "The runs table counts alone, and exactly, until RUNYARD_REDIS_URL answers again.",
    )
