"""What begins runs, put together: the launcher."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from app.config import Settings
from app.services.floor import Ledgers, Outside
from app.services.launcher import Launcher
from app.services.orders import LaunchTerms
from app.services.origin_watch import OriginWatch
from app.services.run_locks import Locks
from app.services.usage_limits import UsageLimits


def make_launcher(
    settings: Settings,
    ledgers: Ledgers,
    outside: Outside,
    limits: UsageLimits,
    locks: Locks,
    clock: Callable[[], datetime],
    origins: OriginWatch,
) -> Launcher:
    """The launcher with what every launch on this server has in common."""
    terms = LaunchTerms(
        grace_seconds=settings.kill_grace_seconds,
        launch_seconds=settings.launch_seconds,
        log_cap_bytes=settings.log_cap_bytes,
    )
    return Launcher(ledgers, outside, limits, terms, locks, clock, origins)
