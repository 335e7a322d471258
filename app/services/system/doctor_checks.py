"""Doctor's checks of this server's own environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

from app.config import Settings
from app.domain.formatting import size_words
from app.domain.quota import LimitsMode
from app.domain.sandbox.levels import HOLDING
from app.records.database.database import DatabaseSilent
from app.records.database.integrity import find_backup, inspect_database
from app.records.projects.project_ledger import ProjectLedger
from app.services.context import Context
from app.services.ports import CannotRead
from app.services.system.doctor import DoctorChecks
from app.services.system.quarantine import Quarantine
from app.services.system.token_file import TOKEN_FILE

_IN_A_FILE = "sqlite:///"


@dataclass(frozen=True)
class DoctorSources:
    """Facts for doctor from capabilities that build on the system.

    `removals` says what is removed next, empty if nothing. `agents_needed` and `low_disks` are
    the sentences of alerts.
    """

    limits: Callable[[], LimitsMode]
    receivers: Callable[[], list[tuple[str, str | None]]]
    removals: Callable[[], str]
    agents_needed: Callable[[], list[str]]
    low_disks: Callable[[], list[str]]


def checks_of(context: Context, quarantine: Quarantine, sources: DoctorSources) -> DoctorChecks:
    """Return the facts that doctor checks; slow ones are callables, evaluated when it runs."""
    settings, adapters = context.settings, context.adapters
    projects = context.ledgers.projects
    return DoctorChecks(
        bind=settings.public_url or f"{settings.host}:{settings.port}",
        is_open=adapters.machine.is_open,
        has_unnamed_proxy=settings.has_unnamed_proxy,
        runs_dir=settings.runs_root,
        private=_private_places(settings),
        kept=partial(_kept_words, context, sources),
        databases=lambda: [inspect_database(database) for database in context.stores.all()],
        backup=partial(find_backup, settings.data_root),
        nicegui=_numbers(metadata.version("nicegui")),
        git=partial(_version_of, adapters.machine.git_version),
        sandbox=partial(adapters.sandbox.probe, again=True),
        unsandboxed=partial(_unsandboxed, projects),
        limits=sources.limits,
        receivers=sources.receivers,
        stuck=partial(_stuck, quarantine),
        allowing=partial(_allowing, projects),
        agents_needed=sources.agents_needed,
        low_disks=sources.low_disks,
    )


def _unsandboxed(projects: ProjectLedger) -> list[str]:
    try:
        return projects.unsandboxed_names()
    except DatabaseSilent:
        return []


def _allowing(projects: ProjectLedger) -> list[str]:
    """Return the host services that projects allow their agents, as `docker allowed: shop`."""
    try:
        found = projects.all()
    except DatabaseSilent:
        return []
    return [
        f"{', '.join(one.allow)} allowed: {one.name}"
        for one in found
        if one.allow and one.archived_at is None and one.sandbox in HOLDING
    ]


def _stuck(quarantine: Quarantine) -> list[tuple[str, str]]:
    try:
        return [(one.key, one.because) for one in quarantine.held()]
    except DatabaseSilent:
        return []


def _private_places(settings: Settings) -> dict[str, Path]:
    places = {
        "data folder": settings.data_root,
        "runs folder": settings.runs_root,
        "token": settings.data_root / TOKEN_FILE,
    }
    if settings.database.startswith(_IN_A_FILE):
        places["database file"] = Path(settings.database.removeprefix(_IN_A_FILE))
    return places


def _kept(settings: Settings) -> str:
    """Describe how long logs and working copies are kept."""
    days = f"{settings.keep_days} days" if settings.keep_days else ""
    size = f"at most {settings.keep_gb:g} GB" if settings.keep_gb else ""
    kept = " and ".join(filter(None, (days, size))) or "forever"
    return f"logs, and copies without unmerged work: {kept} · history and parked work: forever"


def _kept_words(context: Context, sources: DoctorSources) -> str:
    told = (_kept(context.settings), sources.removals(), _homes(context))
    return " · ".join(filter(None, told))


def _homes(context: Context) -> str:
    """Describe the total size of sandboxed agents' private homes; empty if there are none."""
    sizes = context.adapters.homes.measure().values()
    if not sizes:
        return ""
    of = "1 project" if len(sizes) == 1 else f"{len(sizes)} projects"
    return f"private homes of {of}: {size_words(sum(sizes))}"


def _version_of(git_version: Callable[[], str]) -> tuple[int, ...]:
    try:
        return _numbers(git_version())
    except CannotRead:
        return ()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(" ")[0].split(".") if part.isdigit())
