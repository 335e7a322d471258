"""Which server judges a run: the one that took it, or, once that one is gone, its successor."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from app.domain.lifecycle import DONE
from app.records.run_ledger import RunLedger
from app.records.tables import Run
from app.services.leases import Here, Leases
from app.services.ports import Kept

log = logging.getLogger(__name__)


class Tenure:
    """Only the machine that started a run's process may conclude anything from not seeing it."""

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

    def marks(self) -> dict[str, Any]:
        """The columns that say who has taken a run."""
        return {
            "host": self.here.host,
            "instance": self.here.instance,
            "server": self.here.server,
        }

    def may_judge(self, run: Run, now: datetime) -> bool:
        """True for this server's own runs, and for those whose server has gone."""
        if run.server is None or run.server == self.here.server:
            return True
        if (run.host, run.instance) != (self.here.host, self.here.instance):
            return False
        if run.status in DONE and run.started_at is not None:
            return True  # what is left to do is safe to do twice
        if self._leases.is_alive(run.server, now):
            return False
        log.info("run %s is taken over from a server that is gone", run.id)
        if not self._runs.take_over(run, server=self.here.server):
            return False
        # from now on its agent's end is for this server to hear
        self._on_taken_over(run.id, run.supervisor)
        return True
