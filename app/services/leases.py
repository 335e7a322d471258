"""Which of several servers on one database sweeps, and which of them are alive."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.records.lease_ledger import LeaseLedger

log = logging.getLogger(__name__)
LIFETIME = timedelta(seconds=10)
RENEW_SECONDS = 3
SWEEP = "sweep"


@dataclass(frozen=True)
class Here:
    """Where this server's runs are: its machine, and the mark their processes carry.

    `instance` is the same for servers that share one folder of runs.
    """

    host: str
    instance: str
    server: str


class Leases:
    """This server's leases; one that shares its database with nobody holds all of them."""

    def __init__(self, ledger: LeaseLedger, server: str, *, is_alone: bool) -> None:
        self._ledger = ledger
        self.server = server
        self.is_alone = is_alone
        self._sweeps_until: datetime | None = None

    def renew_once(self, now: datetime) -> bool:
        """Say that this server lives, and take or keep the sweep; True where it has it."""
        if self.is_alone:
            return True
        until = now + LIFETIME
        self._ledger.take(_alive(self.server), self.server, now=now, until=until)
        fence = self._ledger.take(SWEEP, self.server, now=now, until=until)
        had_it = self._sweeps_until is not None
        # what cannot be renewed in time is over by this server's own clock, too
        self._sweeps_until = until if fence is not None else None
        if fence is not None and not had_it:
            log.info("this server sweeps now (fence %s)", fence)
        return fence is not None

    def may_sweep(self, now: datetime) -> bool:
        """True where this server, and no other, starts runs by itself."""
        return self.is_alone or (self._sweeps_until is not None and now < self._sweeps_until)

    def is_alive(self, server: str, now: datetime) -> bool:
        """True for this server, and for another that has lately said so."""
        if server == self.server:
            return True
        return not self.is_alone and self._ledger.is_held(_alive(server), now)

    def give_back(self, now: datetime) -> None:
        """End at once, so that another server need not wait."""
        if not self.is_alone:
            self._ledger.give_back(self.server, now)


def _alive(server: str) -> str:
    return f"server {server}"
