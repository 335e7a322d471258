"""What is kept of runs, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.adapters.engine.run_folders import LocalRunFolders
from app.services.retention import RetentionDesk, Terms

if TYPE_CHECKING:
    from app.control_plane.assembly import Ground

ROUND_SECONDS = 86400.0


def make_retention(ground: Ground) -> RetentionDesk:
    """The desk; of several servers the one that sweeps removes."""
    settings = ground.settings
    return RetentionDesk(
        ground.ledgers.runs,
        LocalRunFolders(settings.runs_root / "records"),
        Terms(settings.keep_days, settings.keep_gb),
        ground.workers,
        ground.clock,
        ground.leases.may_sweep,
        lambda moment, duty: ground.metronome.call_at(moment, duty, name="retention"),
    )
