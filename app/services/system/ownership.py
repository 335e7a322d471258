"""Several servers on one database: which one sweeps, which are alive, and which own a run."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog

from app.domain.lifecycle import DONE
from app.records.runs.run_columns import RunColumns
from app.records.runs.run_ledger import RunLedger
from app.records.stores.leases import LeaseLedger
from app.records.tables import Run
from app.services.context import Here
from app.services.ports import Kept

log = structlog.get_logger()


LIFETIME = timedelta(seconds=10)
RENEW_SECONDS = 3
SWEEP = "sweep"
# longer than an opening takes at a forge that is slow to know its branch
HELD_FOR = timedelta(minutes=2)


class Leases:
    """This server's leases; a server alone on its database holds all of them."""

    def __init__(self, ledger: LeaseLedger, server: str, *, is_alone: bool) -> None:
        self._ledger = ledger
        self.server = server
        self.is_alone = is_alone
        self._sweeps_until: datetime | None = None

    def renew_once(self, now: datetime) -> bool:
        """Renew this server's lease of life, and take or keep the sweep. True if it sweeps."""
        if self.is_alone:
            return True
        until = now + LIFETIME
        self._ledger.acquire(_alive(self.server), self.server, now=now, until=until)
        fence = self._ledger.acquire(SWEEP, self.server, now=now, until=until)
        had_it = self._sweeps_until is not None
        # a lease that is not renewed in time ends by this server's own clock, too
        self._sweeps_until = until if fence is not None else None
        if fence is not None and not had_it:
            log.info("sweep_lease_taken", fence=fence)
        return fence is not None

    def may_sweep(self, now: datetime) -> bool:
        """Return True if this server, and no other, may start runs by itself."""
        return self.is_alone or (self._sweeps_until is not None and now < self._sweeps_until)

    def is_alive(self, server: str, now: datetime) -> bool:
        """Return True for this server, and for another one whose lease has not expired."""
        if server == self.server:
            return True
        return not self.is_alone and self._ledger.is_held(_alive(server), now)

    @contextmanager
    def holding(self, name: str, holder: str, now: datetime) -> Generator[bool]:
        """Hold a lease against all servers for a call or two; yield False if another holds it."""
        if self.is_alone:
            yield True
            return
        name, holder = f"hold {name}", f"{self.server} {holder}"
        if self._ledger.acquire(name, holder, now=now, until=now + HELD_FOR) is None:
            yield False
            return
        try:
            yield True
        finally:
            self._ledger.drop(name, holder)

    def release(self, now: datetime) -> None:
        """Release all leases at once, so that another server need not wait."""
        if not self.is_alone:
            self._ledger.release(self.server, now)


def _alive(server: str) -> str:
    return f"server {server}"


class Ownership:
    """Decides which runs this server may judge.

    Only the machine that started a run's process may conclude anything from not seeing it.
    """

    def __init__(
        self,
        runs: RunLedger,
        here: Here,
        leases: Leases,
        on_taken_over: Callable[[str, Kept | None], None],
    ) -> None:
        self._runs = runs
        self._leases = leases
        self._on_taken_over = on_taken_over
        self.here = here

    def marks(self) -> RunColumns:
        """Return the columns that record this server as the owner of a run."""
        return {
            "host": self.here.host,
            "instance": self.here.instance,
            "server": self.here.server,
        }

    def may_judge(self, run: Run, now: datetime) -> bool:
        """Return True if this server may judge the run; take it over if its server is gone."""
        if run.server is None or run.server == self.here.server:
            return True
        if (run.host, run.instance) != (self.here.host, self.here.instance):
            return False
        if run.status in DONE and run.started_at is not None:
            return True  # the remaining steps are safe to repeat
        if self._leases.is_alive(run.server, now):
            return False
        log.info("run_taken_over", run_id=run.id)
        if not self._runs.take_over(run, server=self.here.server):
            return False
        # from now on this server watches for its agent's end
        self._on_taken_over(run.id, run.supervisor)
        return True
