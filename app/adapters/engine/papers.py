"""The records in a run's folder, compared with its row: the agent may write there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.adapters.engine import records
from app.adapters.engine.known import Known
from app.adapters.engine.proofs import fits
from app.adapters.supervisor.record_files import STARTED
from app.domain.rules import ExitRecord
from app.services.ports import ProcessMark


@dataclass(frozen=True)
class Papers:
    """The records that are believed; `untrue` names those that are there and are not.

    `is_started`: there is a `started` record; `agent` is in it once the agent was executed.
    """

    is_started: bool
    agent: ProcessMark | None
    exit: ExitRecord | None
    has_gone: bool
    untrue: tuple[str, ...] = ()


def read_papers(folder: Path, run_id: str, instance: str, known: Known) -> Papers:
    """Read a run's records. Raises RecordUnreadable."""
    untrue: list[str] = []

    def is_true(name: str, fields: Mapping[str, Any]) -> bool:
        if fits(name, fields.get("proof"), known.seal):
            return True
        untrue.append(name)
        return False

    started = records.read_started(folder, run_id, instance)
    is_started = started is not None and started.supervisor == known.supervisor
    if started is not None and not is_started:
        untrue.append(STARTED)
    ended, has_gone = records.read_exit(folder, is_true), records.has_gone(folder, is_true)
    agent = started.agent if started and is_started else None
    return Papers(is_started, agent, ended, has_gone, tuple(untrue))
