"""What is kept of runs, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.adapters.engine.run_folders import LocalRunFolders
from app.services.copy_retention import CopyRetention
from app.services.empty_branches import EmptyBranches
from app.services.holdings import Holdings
from app.services.retention import RetentionDesk
from app.services.retention_terms import Terms

if TYPE_CHECKING:
    from app.control_plane.assembly import Ground

ROUND_SECONDS = 86400.0


def make_retention(ground: Ground) -> RetentionDesk:
    """The desk; of several servers the one that sweeps removes."""
    settings, call_at = ground.settings, ground.metronome.call_at
    terms = Terms(settings.keep_days, settings.keep_gb)
    duties = (terms, ground.workers, ground.clock, ground.leases.may_sweep)
    outside = ground.adapters.outside(ground.ledgers)
    copies = CopyRetention(
        ground.ledgers,
        outside,
        ground.locks,
        *duties,
        lambda moment, duty: call_at(moment, duty, name="copies"),
    )
    branches = EmptyBranches(
        ground.ledgers,
        outside,
        Holdings(outside, ground.workers, ground.clock, ground.feed.publish),
        ground.locks,
        ground.tenure.here,
        *duties[1:],
        lambda moment, duty: call_at(moment, duty, name="branches"),
    )
    return RetentionDesk(
        ground.ledgers.runs,
        LocalRunFolders(settings.runs_root / "records"),
        copies,
        branches,
        *duties,
        lambda moment, duty: call_at(moment, duty, name="retention"),
    )
