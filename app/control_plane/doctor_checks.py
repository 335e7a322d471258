"""Doctor's checks of this server's own environment."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from app.adapters.git.command import Git
from app.config import Settings
from app.domain.formatting import size_words
from app.domain.quota import LimitsMode
from app.domain.sandbox.levels import HOLDING
from app.records.database.database import DatabaseSilent
from app.records.database.integrity import find_backup, inspect_database
from app.records.database.sqlite_files import file_of
from app.records.feed import FindingsChanged
from app.records.projects.project_ledger import ProjectLedger
from app.records.stores.routing import Stores
from app.server.startup import CannotStart, refuse_open_bind
from app.services.ports import Agents, CannotRead, Sandbox
from app.services.projects.alerts import AGENT, DISK, Alerts
from app.services.retention.logs import LogRetention
from app.services.system.accounts import TOKEN_FILE
from app.services.system.disk_room import DiskRoom
from app.services.system.doctor import Doctor, DoctorChecks
from app.services.system.quarantine import Quarantine

if TYPE_CHECKING:
    from app.control_plane.wiring import Ground

_IN_A_FILE = "sqlite:///"


def make_doctor(
    ground: Ground,
    agents: Agents,
    receivers: Callable[[], list[tuple[str, str | None]]],
    retention: LogRetention,
    alerts: Alerts,
) -> Doctor:
    """Build doctor, which publishes FindingsChanged when its findings have changed."""
    doctor_checks = premises_of(
        ground.settings,
        ground.ledgers.runs.stores,
        ground.adapters.git,
        lambda: ground.counting.check(ground.clock()),
        receivers,
        partial(_stuck, ground.quarantine),
        partial(_told_of_kept, ground, retention),
        ground.adapters.sandbox,
        partial(_unsandboxed, ground.ledgers.projects),
    )
    publish = ground.feed.publish
    doctor_checks = replace(
        doctor_checks,
        allowing=partial(_allowing, ground.ledgers.projects),
        agents_needed=partial(_told, alerts, AGENT),
        low_disks=partial(_told, alerts, DISK),
    )
    return Doctor(agents, doctor_checks, ground.clock, lambda: publish([FindingsChanged()]))


def make_disk_room(settings: Settings) -> DiskRoom:
    """Build the check of free disk space where this server and its agents write."""
    places = {
        "the data folder": settings.data_root,
        "the runs folder": settings.runs_root,
        "temporary files": Path(tempfile.gettempdir()),
    }
    if (file := file_of(settings.database)) is not None:
        places["the database"] = file.parent
    return DiskRoom(places, settings.low_disk_mb * 1024**2, settings.low_disk_percent)


def premises_of(
    settings: Settings,
    stores: Stores,
    git: Git,
    limits: Callable[[], LimitsMode],
    receivers: Callable[[], list[tuple[str, str | None]]],
    stuck: Callable[[], list[tuple[str, str]]],
    kept: Callable[[], str],
    sandbox: Sandbox,
    unsandboxed: Callable[[], list[str]],
) -> DoctorChecks:
    """Return the facts that doctor checks; slow ones are callables, evaluated when it runs."""
    return DoctorChecks(
        bind=f"{settings.host}:{settings.port}",
        is_open=_is_open(settings.host),
        runs_dir=settings.runs_root,
        private=_private_places(settings),
        kept=kept,
        databases=lambda: [inspect_database(database) for database in stores.all()],
        backup=partial(find_backup, settings.data_root),
        nicegui=_numbers(metadata.version("nicegui")),
        git=lambda: _version_of(git),
        sandbox=partial(sandbox.probe, again=True),
        unsandboxed=unsandboxed,
        limits=limits,
        receivers=receivers,
        stuck=stuck,
    )


def _told(alerts: Alerts, part: str) -> list[str]:
    try:
        return [one.what for one in alerts.all() if one.part == part]
    except DatabaseSilent:
        return []


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


def _is_open(host: str) -> bool:
    try:
        refuse_open_bind(host)
    except CannotStart:
        return True
    return False


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
    return f"logs, and copies without work of their own: {kept} · history and parked work: forever"


def _told_of_kept(ground: Ground, retention: LogRetention) -> str:
    told = (_kept(ground.settings), _going(retention), _homes(ground))
    return " · ".join(filter(None, told))


def _homes(ground: Ground) -> str:
    """Describe the total size of sandboxed agents' private homes; empty if there are none."""
    sizes = ground.adapters.homes.measure().values()
    if not sizes:
        return ""
    of = "1 project" if len(sizes) == 1 else f"{len(sizes)} projects"
    return f"private homes of {of}: {size_words(sum(sizes))}"


def _going(retention: LogRetention) -> str:
    """Describe what will be removed and from when, as of the last check; empty if nothing."""
    logs, copies = retention.last_seen(), retention.copies.standing()
    of_logs = logs.leaving if logs else ()
    moments = [one.goes_at for one in (*of_logs, *copies.leaving) if one.goes_at]
    if not moments:
        return ""
    told = [
        f"{len(some)} {one if len(some) == 1 else many}, {size_words(sum(it.bytes for it in some))}"
        for one, many, some in (("log", "logs", of_logs), ("copy", "copies", copies.leaving))
        if some
    ]
    return f"to go from {min(moments):%d %B %H:%M} UTC on: {' and '.join(told)}"


def _version_of(git: Git) -> tuple[int, ...]:
    try:
        return _numbers(git.version())
    except CannotRead:
        return ()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(" ")[0].split(".") if part.isdigit())
