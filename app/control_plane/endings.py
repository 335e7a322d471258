"""What ends runs, put together: the reaper, and the deliveries and the settlement behind it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from app import __version__
from app.logs import correlated
from app.records.outbox import CLEAR, LIMIT, STRIKE
from app.records.quarantine_ledger import QuarantineLedger
from app.services.consequences import Consequences
from app.services.deliveries import Deliveries
from app.services.delivery import Deliverer
from app.services.floor import Ledgers, Outside
from app.services.launcher import Launcher
from app.services.ports import Engine
from app.services.quarantine import Quarantine
from app.services.reaper import Reaper
from app.services.recovery import Recovery
from app.services.reports import Reporter
from app.services.run_locks import Locks
from app.services.settlement import Settlement
from app.services.stopping import Stopper
from app.services.tenure import Tenure
from app.services.usage_limits import UsageLimits
from app.services.verdicts import Verdicts
from app.services.vigil import Vigil
from app.services.workers import Workers

if TYPE_CHECKING:
    from app.control_plane.assembly import Ground


def make_quarantine(ledgers: Ledgers, clock: Callable[[], datetime]) -> Quarantine:
    """What keeps rows apart that this program cannot go on with."""
    return Quarantine(QuarantineLedger(ledgers.runs), __version__, clock)


def make_recovery(ground: Ground, reaper: Reaper, engine: Engine) -> Recovery:
    """What takes over at a start."""
    clearings = ground.adapters.clearings
    return Recovery(ground.ledgers.runs, engine, reaper, clearings, ground.quarantine)


def make_consequences(ground: Ground, limits: UsageLimits) -> Consequences:
    """What runs lead to in the control store."""
    projects = ground.ledgers.projects
    return Consequences(
        ground.ledgers.runs,
        {
            STRIKE: lambda tx, run, data, _: projects.add_strike(
                tx, run.project_id, data["because"]
            ),
            CLEAR: lambda tx, run, _data, _: projects.clear_strikes(tx, run.project_id),
            LIMIT: limits.hold,
        },
        ground.quarantine,
    )


def make_reaper(
    ledgers: Ledgers,
    outside: Outside,
    launcher: Launcher,
    reporter: Reporter,
    vigil: Vigil,
    *,
    locks: Locks,
    workers: Workers,
    tenure: Tenure,
    clock: Callable[[], datetime],
    again: Callable[[str], None],
    consequences: Consequences,
    quarantine: Quarantine,
) -> Reaper:
    """The reaper; `again` looks at a run once more when a worker is done with it."""
    runs, verdicts = ledgers.runs, Verdicts(ledgers, clock, consequences)
    deliverer = Deliverer(runs, outside, clock)
    return Reaper(
        ledgers,
        outside,
        launcher,
        verdicts,
        Deliveries(ledgers, deliverer, verdicts, locks, workers, again, quarantine),
        Settlement(runs, outside, workers, clock, again),
        reporter,
        vigil,
        locks,
        tenure,
        clock,
        correlated,
    )


def make_stopper(ground: Ground, launcher: Launcher, again: Callable[[str], None]) -> Stopper:
    """Who stops runs at a person's word; `again` looks at one once more."""
    workers = ground.workers
    return Stopper(
        ground.ledgers.runs,
        ground.locks,
        again=lambda run_id: workers.submit(again, run_id),
        kill_soon=lambda run_id: workers.submit(launcher.halt, run_id),
    )
