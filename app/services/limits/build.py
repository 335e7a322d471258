"""The services of the limits: quotas, their counters, and the usage limits of agents."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.quota import Counted
from app.records.batches.batch_ledger import BatchLedger
from app.records.people.people_ledger import PeopleLedger
from app.records.runs.selections import OpenRuns
from app.records.stores.outbox import LIMIT
from app.services.context import Context
from app.services.limits.active_runs import ActiveRunCounts
from app.services.limits.counters import CounterService, charged_batches, charged_runs
from app.services.limits.people_windows import PeopleWindows
from app.services.limits.quota import BatchQuota, Quota, limits_in
from app.services.limits.usage_limits import UsageLimits
from app.services.people.build import PeopleServices
from app.services.system.build import SystemServices


@dataclass(frozen=True)
class LimitServices:
    """The services that limit how many runs start."""

    quota: Quota
    batch_quota: BatchQuota
    people_quotas: PeopleWindows
    limits: UsageLimits
    counters: CounterService
    active_run_counts: ActiveRunCounts


def build(context: Context, system: SystemServices, people: PeopleServices) -> LimitServices:
    """Build the services of the limits; a run's usage limit is applied by the outbox."""
    settings, runs, adapters = context.settings, context.ledgers.runs, context.adapters
    limits = UsageLimits(runs, adapters.agents)
    system.outbox.register(LIMIT, limits.hold)
    batches, source = BatchLedger(context.stores), people.directory
    tables = {
        Counted.RUNS: charged_runs(runs, settings.run_window),
        Counted.BATCHES: charged_batches(batches, settings.batch_window),
    }
    open_runs, submit = OpenRuns(context.stores), context.workers.submit
    active_run_counts = ActiveRunCounts(adapters.active_sets, runs, open_runs, submit)
    active_run_counts.listen(context.feed)
    quota = Quota(settings.run_quota, settings.run_window, limits_in(source, Counted.RUNS))
    return LimitServices(
        quota=quota,
        people_quotas=PeopleWindows(PeopleLedger(context.stores), quota, context.stores),
        batch_quota=BatchQuota(
            settings.batch_quota,
            settings.batch_window,
            limits_in(source, Counted.BATCHES),
            batches,
        ),
        limits=limits,
        counters=CounterService(adapters.counters, tables, context.feed.publish),
        active_run_counts=active_run_counts,
    )
