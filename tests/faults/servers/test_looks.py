"""Inspections that coincide with an end: an agent that exits between two reads left a record."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.engine.processes import ProcessTable
from app.services.ports import ProcessMark
from tests.drivers.gates import Gate
from tests.fakes.agents.runs import RUN, Ears, KeepingEngine, order, shell


class SlowTable(ProcessTable):
    """A process table read so slowly that the agent exits in between."""

    def __init__(self, instance: str, gate: Gate) -> None:
        super().__init__(instance)
        self.instance = instance
        self.gate = gate
        self.ears: Ears | None = None

    def is_alive(self, mark: ProcessMark) -> bool:
        ears, self.ears = self.ears, None
        if ears is not None:
            self.gate.open()
            ears.wait_for(RUN, "gone")
        return super().is_alive(mark)


@pytest.fixture
def table(tmp_path: Path) -> SlowTable:
    return SlowTable(uuid.uuid4().hex, Gate(tmp_path))


@pytest.fixture
def engine(tmp_path: Path, table: SlowTable) -> Iterator[KeepingEngine]:
    engine = KeepingEngine(tmp_path / "records", instance=table.instance, table=table)
    yield engine
    assert all(engine.end(run_id) for run_id in engine.owned())
    engine.close()


def test_an_agent_that_ends_while_it_is_looked_at_has_an_exit_record(
    engine: KeepingEngine, table: SlowTable, tmp_path: Path
) -> None:
    ears = Ears(engine, engine.kept)
    engine.start(order(RUN, tmp_path, shell(f"{table.gate.wait}; exit 7")))
    engine.follow(RUN)
    table.gate.await_arrival()
    table.ears = ears
    sight = engine.see(RUN)
    assert sight.alive is False
    assert sight.exit is not None
    assert sight.exit.code == 7
