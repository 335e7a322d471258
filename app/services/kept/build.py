"""The services of kept work: parked branches, retries, resumes and deliveries by hand."""

from __future__ import annotations

from dataclasses import dataclass

from app.services.context import Context
from app.services.kept.parked import Holdings, ParkedService
from app.services.kept.resume import ResumeService
from app.services.kept.retry import RetryService
from app.services.kept.salvage import Salvage
from app.services.lifecycle.build import LifecycleServices
from app.services.limits.build import LimitServices
from app.services.runs.build import RunServices
from app.services.system.build import SystemServices


@dataclass(frozen=True)
class KeptServices:
    """The services of kept work."""

    retry: RetryService
    resume: ResumeService
    parked: ParkedService
    salvage: Salvage


def build(
    context: Context,
    system: SystemServices,
    limits: LimitServices,
    runs: RunServices,
    lifecycle: LifecycleServices,
) -> KeptServices:
    """Build the services of kept work."""
    retry = RetryService(
        context.ledgers, context.adapters, runs.prechecks, runs.accept, context.locks
    )
    adapters, publish = context.adapters, context.feed.publish
    holdings = Holdings(adapters, context.workers, context.clock, publish)
    return KeptServices(
        retry=retry,
        resume=ResumeService(context, system, limits.limits, retry, runs.reporter),
        parked=ParkedService(context, holdings),
        salvage=Salvage(context, lifecycle.deliverer, runs.keys),
    )
