"""The control plane: holds all parts of a server, and starts and stops them in order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy.engine import make_url

from app.adapters.machine.bells import Bell
from app.adapters.machine.file_locks import FileLocks
from app.config import Settings
from app.control_plane.adapters import identify, pick_adapters, wall_clock
from app.control_plane.scheduler import Scheduler
from app.control_plane.storage import make_ledgers, make_relays, open_stores, settle_stores
from app.logs import correlated
from app.records.database.database import DatabaseSilent
from app.records.feed import Feed, FeedBroke, LogGrew, Numbered, SweepWanted
from app.server.startup import CannotStart
from app.services.concurrency import Locks, Workers, guarded
from app.services.container import SettingValue, build
from app.services.context import Adapters, Context
from app.services.review.autoland import NEWS
from app.services.review.visits import RECORDED_SECONDS
from app.services.system.ownership import RENEW_SECONDS
from app.services.system.store_health import WATCH_SECONDS
from app.services.tracker.conflicts import NEW_COMMITS

log = structlog.get_logger()
# in addition to one per live run, which may be blocked pushing to a silent host
WORKERS = 16
# between two rounds of removing what is old
ROUND_SECONDS = 86400.0
# between two rounds of deleting the tokens of ended runs
TOKENS_SECONDS = 3600.0
# the messages of a bell
WHOLE, FILL = "tick", "fill"
A_MOMENT = timedelta(seconds=0.5)


class ControlPlane:
    """A server without its web side: `start` brings it up, `stop` ends it; runs outlive both.

    `given` are the settings of the command line; `adapt` replaces picked adapters.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        given: dict[str, object] | None = None,
        clock: Callable[[], datetime] = wall_clock,
        adapt: Callable[[Adapters], Adapters] = lambda picked: picked,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.feed = Feed()
        self.stores = stores = open_stores(settings, self.feed)
        self.database, self.relays = stores.control, make_relays(stores, self.feed)
        self.ledgers = make_ledgers(stores, self.feed)
        self.adapters = adapt(pick_adapters(settings, self.ledgers.tracker, self.ledgers.forges))
        self.workers = Workers(WORKERS + settings.max_live_runs)
        self.scheduler = Scheduler()
        self.bell = None if settings.is_alone else self._make_bell()
        self.locks = Locks(None if settings.is_alone else FileLocks(settings.runs_root / "locks"))
        context = Context(
            settings=settings,
            identity=identify(settings, self.database),
            clock=clock,
            feed=self.feed,
            stores=stores,
            ledgers=self.ledgers,
            workers=self.workers,
            locks=self.locks,
            adapters=self.adapters,
            call_at=self.scheduler.call_at,
            inspect_run=self.inspect_run,
            speaking_for=correlated,
        )
        values = tuple(SettingValue(*one) for one in settings.described(given or {}))
        self.services = services = build(context, values)
        self.leases, self.reaper = services.leases, services.reaper
        self.feed.subscribe(services.sweep.on_change)
        self.feed.subscribe(services.conflicts.on_change, NEW_COMMITS)
        self.feed.subscribe(services.merge_approvals.on_change, NEW_COMMITS)
        self.feed.subscribe(services.autoland.on_change, NEWS, projects=services.autoland.projects)

    def start(self) -> None:
        """Migrate the databases and subscribe to events; no work starts yet."""
        self.migrate()
        if not self.services.secret_key.fits():
            raise CannotStart(
                f"{self.settings.secret_key} is not the key of the tokens in the database: "
                "set RUNYARD_SECRET_KEY_FILE to the file that is."
            )
        self.adapters.forges.refresh()
        self.services.accounts.operator(self.clock())
        self.services.directory.load()
        self.services.run_tokens.load()
        # fails on a full disk; it is retried regularly
        with contextlib.suppress(DatabaseSilent):
            self.leases.renew_once(self.clock())
        self.services.counters.check(self.clock())
        self.services.active_run_counts.make_anew()
        self.adapters.engine.listen(self._on_engine_event)
        for relay in self.relays:
            relay.open()
        self.feed.subscribe(self._on_sweep_wanted, (SweepWanted, FeedBroke))
        if self.bell is not None:
            self.bell.open()

    def begin(self) -> None:
        """Take over live runs, then start sweeping, in a worker thread."""
        self.workers.submit(self._begin)

    def migrate(self) -> None:
        """Migrate every database to this program's schema, if it is sound.

        Raises DatabaseDamaged, SchemaNewer, CannotStart, DatabaseSilent.
        """
        settle_stores(self.stores, self.settings, self.clock())

    def stop(self) -> None:
        """Stop sweeping and watching; agents continue under their supervisors."""
        self.scheduler.stop()
        self.adapters.engine.close()
        self.workers.close()
        self.workers.finish(5)
        self.services.visits.record_once()
        with contextlib.suppress(DatabaseSilent):
            self.leases.release(self.clock())
        self.services.counters.close()
        self.services.active_run_counts.close()
        for relay in self.relays:
            relay.close()
        if self.bell is not None:
            self.bell.close()
        for database in self.stores.all():
            database.close()

    def recover_once(self) -> int:
        """Adopt, end or undo every open run, end stray processes; return how many were open."""
        self.services.quarantine.begin()
        self.services.outbox.catch_up()
        return self.services.recovery.once(self.clock())

    def _begin(self) -> None:
        if not self.leases.is_alone:
            self.scheduler.repeat(self._renew_leases, RENEW_SECONDS)
        self.scheduler.start()
        for duty in (self._contain, self.recover_once, self.services.projects.resume_clones):
            guarded(duty)
        # may contact origins, so nothing waits for it
        self.workers.submit(self.services.changes.finish_once, self.clock())
        self.workers.submit(self.services.reverts.settle_once)
        self.workers.submit(self.services.conflicts.request_all)
        self.services.forge_issues.request()
        self.services.claims.request()
        tell_people = self.services.notifications.request
        tell_people()
        for duty in (
            self.services.sweep.request_here,
            lambda: self.services.origins.check_once(self.clock()),
            lambda: self.services.counters.check_once(self.clock()),
            self.services.active_run_counts.make_anew,
            tell_people,
            self.services.bulk.request,
            self.services.alerts.check_once,
            self.services.pull_requests.request,
            self.services.claims.request,
            self.services.repositories.request,
            self.services.forge_issues.request,
            lambda: self.services.approval_requests.settle_once(self.clock()),
        ):
            self.scheduler.repeat(duty, self.settings.sweep_seconds)
        self.scheduler.repeat(self.services.store_watch.check_once, WATCH_SECONDS)
        # asks nobody: it looks at what the clients of forges have seen
        self.scheduler.repeat(self.services.forges.note_refusals, WATCH_SECONDS)
        self.scheduler.repeat(self.services.visits.record_once, RECORDED_SECONDS)
        clear_logs = self.services.retention.request
        clear_logs()
        self.scheduler.repeat(clear_logs, ROUND_SECONDS)
        self.workers.submit(self._trim_audit)
        self.scheduler.repeat(self._trim_audit, ROUND_SECONDS)
        self.workers.submit(self._forget_tokens)
        self.scheduler.repeat(self._forget_tokens, TOKENS_SECONDS)
        self.services.sweep.request_here()
        self.services.sweep.open()
        self.services.bulk.request()

    def _contain(self) -> int:
        return self.services.projects.sandboxes.contain_once(self.clock())

    def _trim_audit(self) -> None:
        if self.leases.may_sweep(self.clock()):
            self.services.audit.trim_once(self.clock())

    def _forget_tokens(self) -> int:
        return self.services.run_tokens.forget_once(self.clock())

    def _renew_leases(self) -> None:
        had_it = self.leases.may_sweep(self.clock())
        if self.leases.renew_once(self.clock()) and not had_it:
            # requests to the server that swept before may have been lost with it
            self.services.sweep.request_here()

    def _on_sweep_wanted(self, one: Numbered) -> None:
        match one.change:
            case SweepWanted(whole):
                self._answer_call(whole)
                if self.bell is not None:
                    self.bell.ring(WHOLE if whole else FILL)
            case FeedBroke():
                self._answer_call(True)

    def _answer_call(self, whole: bool) -> None:
        if self.leases.may_sweep(self.clock()):
            sweep = self.services.sweep
            sweep.request_here() if whole else sweep.request_fill_here()

    def _make_bell(self) -> Bell | None:
        # servers on one PostgreSQL notify each other through the database
        if not self.database.is_sqlite:
            return None
        file = make_url(self.database.url).database
        return Bell(Path(f"{file}.bell"), lambda names: self._answer_call(names != {FILL}))

    def _on_engine_event(self, run_id: str, what: str) -> None:
        if what == "log":
            self.feed.publish([LogGrew(run_id)])
            self.services.reporter.schedule(run_id)
        elif what == "refused":
            self.workers.submit(self.services.refusals.append_once, run_id)
        else:
            self.workers.submit(self.inspect_run, run_id)

    def inspect_run(self, run_id: str) -> None:
        """Reap one run after an event of it, then request a fill."""
        if self.reaper.reap_once(run_id):
            self.services.sweep.request_fill()
            return
        again = partial(self.workers.submit, self.inspect_run, run_id)
        if not self.locks.when_free(run_id, again):
            # released just now, or held by another server, which does not notify this one
            # its own name, so that it does not replace the run's next planned check
            self.scheduler.call_at(self.clock() + A_MOMENT, again, name=f"retry for {run_id}")
