"""The services of the system: which server does what, stores and doctor."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.config import Settings
from app.records.database.sqlite_files import file_of
from app.records.feed import FindingsChanged
from app.records.projects.check_holds import hold_for_check
from app.records.runs.quarantine_ledger import QuarantineLedger
from app.records.stores.leases import LeaseLedger
from app.records.stores.outbox import CHECK_HOLD, CLEAR, STRIKE
from app.services.context import Context
from app.services.system.disk_room import DiskRoom
from app.services.system.doctor import Doctor
from app.services.system.doctor_checks import DoctorSources, checks_of
from app.services.system.origin_watch import OriginWatch
from app.services.system.outbox import OutboxProcessor
from app.services.system.ownership import Leases, Ownership
from app.services.system.quarantine import Quarantine
from app.services.system.state_trust import StateTrust
from app.services.system.store_health import HealthService, StoreWatch


@dataclass(frozen=True)
class SystemServices:
    """The services that every other capability may use."""

    leases: Leases
    ownership: Ownership
    quarantine: Quarantine
    outbox: OutboxProcessor
    origins: OriginWatch
    disk: DiskRoom
    store_watch: StoreWatch
    health: HealthService
    states: StateTrust


def build(context: Context) -> SystemServices:
    """Build the services of the system."""
    settings, stores, clock = context.settings, context.stores, context.clock
    here, runs = context.adapters.machine.here, context.ledgers.runs
    # no other server shares the database of a locked data folder
    is_alone = settings.database_url is None
    leases = Leases(LeaseLedger(stores), here.server, is_alone=is_alone)
    quarantine = Quarantine(QuarantineLedger(runs), context.identity.version, clock)
    outbox = _build_outbox(context, quarantine)
    disk = _build_disk_room(settings)
    origins, states = OriginWatch(context, leases), StateTrust(context)
    origins.on_fetched(states.on_fetched)
    return SystemServices(
        leases=leases,
        ownership=Ownership(runs, here, leases, context.adapters.engine.watch),
        quarantine=quarantine,
        outbox=outbox,
        origins=origins,
        disk=disk,
        store_watch=StoreWatch(stores, disk.sentence, context.feed.publish, clock),
        health=HealthService(clock, is_split=stores.runs is not None),
        states=states,
    )


def build_doctor(context: Context, system: SystemServices, sources: DoctorSources) -> Doctor:
    """Build doctor, which publishes FindingsChanged when its findings have changed."""
    checks = checks_of(context, system.quarantine, sources)
    publish = context.feed.publish
    agents = context.adapters.agents
    return Doctor(agents, checks, context.clock, lambda: publish([FindingsChanged()]))


def _build_outbox(context: Context, quarantine: Quarantine) -> OutboxProcessor:
    projects = context.ledgers.projects
    outbox = OutboxProcessor(context.ledgers.runs, quarantine)
    outbox.register(
        STRIKE,
        lambda tx, run, data, _: projects.add_strike(tx, run.project_id, data["because"]),
    )
    outbox.register(CLEAR, lambda tx, run, _data, _: projects.clear_strikes(tx, run.project_id))
    outbox.register(CHECK_HOLD, lambda tx, run, data, _: hold_for_check(tx, run.project_id, data))
    return outbox


def _build_disk_room(settings: Settings) -> DiskRoom:
    """Build the check of free disk space where this server and its agents write."""
    places = {
        "the data folder": settings.data_root,
        "the runs folder": settings.runs_root,
        "temporary files": Path(tempfile.gettempdir()),
    }
    if (file := file_of(settings.database)) is not None:
        places["the database"] = file.parent
    return DiskRoom(places, settings.low_disk_mb * 1024**2, settings.low_disk_percent)
