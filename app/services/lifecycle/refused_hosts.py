"""Hosts that the network policy refused to agents, once each on their runs' timelines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlmodel import col, select

from app.records.runs.run_ledger import RunLedger
from app.records.tables import Run, RunEvent
from app.services.ports import Engine, Refusal

# event data key: the refused host, empty for further ones
REFUSED = "refused"


class Refusals:
    """Copies refused hosts from the engine's records to the timelines."""

    def __init__(self, runs: RunLedger, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._runs = runs
        self._engine = engine
        self._clock = clock

    def append_once(self, run_id: str) -> None:
        """Append hosts refused since the last call, if any."""
        found = self._engine.refusals(run_id)
        if not found:
            return
        with self._runs.stores.owner_of(run_id).transaction() as tx:
            # locked, so that of two concurrent calls only one appends
            if tx.get(Run, run_id, with_for_update=True) is None:
                return
            query = select(RunEvent).where(RunEvent.run_id == run_id, col(RunEvent.kind) == "note")
            told = {event.data[REFUSED] for event in tx.scalars(query) if REFUSED in event.data}
            for one in found:
                if one.host not in told:
                    data = {REFUSED: one.host}
                    self._runs.append_event(tx, run_id, self._clock(), "note", _sentence(one), data)


def _sentence(refusal: Refusal) -> str:
    if not refusal.host:
        return "network refused: and more"
    host = f"[{refusal.host}]" if ":" in refusal.host else refusal.host
    return f"network refused: {host}:{refusal.port} ({refusal.because})"
