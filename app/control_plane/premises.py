"""What doctor examines of this server's own surroundings."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib import metadata

from app.adapters.git import Git
from app.config import Settings
from app.domain.quota_rules import LimitsMode
from app.services.doctor import Premises


def premises_of(
    settings: Settings, database: str, git: Git, limits: Callable[[], LimitsMode]
) -> Premises:
    """The premises; what takes time to find out is asked when doctor asks."""
    return Premises(
        bind=f"{settings.host}:{settings.port}",
        database=database,
        data_dir=settings.data_root,
        nicegui=metadata.version("nicegui"),
        git=lambda: _numbers(git.version()),
        sandbox=lambda: shutil.which("bwrap"),
        limits=limits,
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(" ")[0].split(".") if part.isdigit())
