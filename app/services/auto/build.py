"""The services of the auto loop and of the sweep that starts every run."""

from __future__ import annotations

from dataclasses import dataclass

from app.services.auto.afk import AfkService
from app.services.auto.loop import AutoLoop
from app.services.auto.sweep import Starts, Sweep
from app.services.context import Context
from app.services.lifecycle.build import LifecycleServices
from app.services.limits.build import LimitServices
from app.services.runs.build import RunServices
from app.services.system.build import SystemServices
from app.services.tracker.build import TrackerServices


@dataclass(frozen=True)
class AutoServices:
    """The services that start runs."""

    loop: AutoLoop
    sweep: Sweep
    afk: AfkService


def build(
    context: Context,
    system: SystemServices,
    limits: LimitServices,
    runs: RunServices,
    lifecycle: LifecycleServices,
    tracker: TrackerServices,
    starts: Starts,
) -> AutoServices:
    """Build the loop, the sweep, and what people do with them."""
    issues, accept = tracker.issues, runs.accept
    loop = AutoLoop(context, system, issues, limits.limits, accept)
    reaper, launcher = lifecycle.reaper, lifecycle.launcher
    sweep = Sweep(context, system, reaper, launcher, limits.limits, loop.fill_once, starts)
    afk = AfkService(context.ledgers, issues, accept, loop, system.outbox, sweep.request)
    return AutoServices(loop=loop, sweep=sweep, afk=afk)
