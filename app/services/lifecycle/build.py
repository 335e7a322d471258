"""The services of the lifecycle: launching runs, watching them, ending and releasing them."""

from __future__ import annotations

from dataclasses import dataclass

from app.records.runs.check_ledger import CheckLedger
from app.services.context import Context
from app.services.lifecycle.checks import Checking
from app.services.lifecycle.deliver import Deliverer, Deliveries
from app.services.lifecycle.delivery_checks import DeliveredFiles, SecretCheck
from app.services.lifecycle.finalize import Finalizer
from app.services.lifecycle.follow_ups import FollowUps
from app.services.lifecycle.launch import Launcher
from app.services.lifecycle.launch_spec import LaunchSpecs, LaunchTerms
from app.services.lifecycle.reap import EndSteps, Reaper
from app.services.lifecycle.recovery import Recovery
from app.services.lifecycle.refused_hosts import Refusals
from app.services.lifecycle.stall_monitor import Clocks, StallMonitor
from app.services.lifecycle.steps import Kills, Steps
from app.services.lifecycle.stop import Stopper
from app.services.lifecycle.transitions import Transitions
from app.services.limits.build import LimitServices
from app.services.people.build import PeopleServices
from app.services.push_checks import PushChecks
from app.services.runs.build import RunServices
from app.services.system.build import SystemServices
from app.services.system.issue_trust import IssueTrust


@dataclass(frozen=True)
class LifecycleServices:
    """The services that lead runs from their launch to their release."""

    launcher: Launcher
    push_checks: PushChecks
    deliverer: Deliverer
    reaper: Reaper
    recovery: Recovery
    refusals: Refusals
    stopper: Stopper


def build(
    context: Context,
    system: SystemServices,
    people: PeopleServices,
    limits: LimitServices,
    runs: RunServices,
) -> LifecycleServices:
    """Build the services of the lifecycle."""
    adapters, clock, ledger = context.adapters, context.clock, context.ledgers.runs
    sizes = DeliveredFiles(context.ledgers.projects, adapters.mirrors)
    secrets = SecretCheck(adapters.mirrors, adapters.secrets)
    push_checks = PushChecks((secrets.check, sizes.check))
    deliverer = Deliverer(ledger, adapters, push_checks, clock, context.locks, system.leases)
    transitions = Transitions(context.ledgers, clock, system.outbox)
    ledger_of_checks = CheckLedger(ledger)
    kills = Kills(context)
    steps_of_runs = Steps(context, ledger_of_checks, kills)
    specs = _specs(context, system, people, runs)
    launcher = Launcher(context, limits.limits, _terms(context), system.origins, specs)
    steps = EndSteps(
        kills,
        Checking(context, specs, steps_of_runs, ledger_of_checks, runs.reporter, transitions),
        FollowUps(context, specs, steps_of_runs, ledger_of_checks, runs.red_checks, transitions),
        transitions,
        Deliveries(context, deliverer, transitions, system.quarantine),
        Finalizer(context, kills),
    )
    clocks = Clocks(
        clock,
        adapters.machine.seconds_ahead,
        lambda name, at, duty: context.call_at(at, duty, name=name),
    )
    monitor = StallMonitor(ledger, runs.reporter, context.workers, clocks, context.inspect_run)
    reaper = Reaper(context, system.ownership, launcher, runs.reporter, monitor, steps)
    return LifecycleServices(
        launcher=launcher,
        push_checks=push_checks,
        deliverer=deliverer,
        reaper=reaper,
        recovery=Recovery(ledger, adapters.engine, reaper, adapters.clearings, system.quarantine),
        refusals=Refusals(ledger, adapters.engine, clock),
        stopper=Stopper(context, launcher),
    )


def _specs(
    context: Context, system: SystemServices, people: PeopleServices, runs: RunServices
) -> LaunchSpecs:
    return LaunchSpecs(
        context,
        _terms(context),
        runs.prompts,
        IssueTrust(context.stores, context.adapters.forges),
        system.states,
        lambda run, project: people.run_tokens.take(run, project, context.clock()),
    )


def _terms(context: Context) -> LaunchTerms:
    settings = context.settings
    return LaunchTerms(
        grace_seconds=settings.kill_grace_seconds,
        launch_seconds=settings.launch_seconds,
        log_cap_bytes=settings.log_cap_bytes,
        address=context.adapters.machine.own_address,
    )
