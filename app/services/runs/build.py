"""The services of runs: accepting, planning and listing them, and their agents' reports."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.idempotency import KeyTerms
from app.domain.quota import Counted
from app.services.context import Context
from app.services.limits.build import LimitServices
from app.services.limits.quota import Places
from app.services.people.build import PeopleServices
from app.services.runs.accept import AcceptService
from app.services.runs.agent_reports import Reporter
from app.services.runs.idempotency import Keys
from app.services.runs.planned import PlannedRunService
from app.services.runs.prechecks import Prechecks
from app.services.runs.prompting import Prompts
from app.services.runs.queries import RunListing
from app.services.runs.red_checks import RedChecks
from app.services.system.build import SystemServices


@dataclass(frozen=True)
class RunServices:
    """The services of runs."""

    keys: Keys
    prechecks: Prechecks
    accept: AcceptService
    planned: PlannedRunService
    listing: RunListing
    reporter: Reporter
    prompts: Prompts
    red_checks: RedChecks


def build(
    context: Context, system: SystemServices, people: PeopleServices, limits: LimitServices
) -> RunServices:
    """Build the services of runs."""
    runs, settings = context.ledgers.runs, context.settings
    keys = Keys(runs, KeyTerms(settings.key_hold_seconds, settings.key_ttl_seconds))
    projects, adapters = context.ledgers.projects, context.adapters
    prechecks = Prechecks(projects, adapters, limits.limits, system.origins, people.directory)
    places = Places(limits.quota, Counted.RUNS, context.stores, limits.counters)
    red_checks = RedChecks(context)
    has_room = limits.active_run_counts.has_room
    accept = AcceptService(runs, prechecks, places, keys, system.outbox, has_room)
    return RunServices(
        keys=keys,
        prechecks=prechecks,
        accept=accept,
        planned=PlannedRunService(runs),
        listing=RunListing(context.ledgers, places, adapters),
        reporter=Reporter(context),
        prompts=Prompts(context, accept, red_checks),
        red_checks=red_checks,
    )
