"""What a run's folder tells of it, held against what its row knows: its agent may write there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.adapters.engine import records
from app.adapters.engine.known import Known
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
    started = records.read_started(folder, run_id, instance)
    is_true = started is not None and started.supervisor == known.supervisor
    return Papers(
        is_started=is_true,
        agent=started.agent if started and is_true else None,
        exit=records.read_exit(folder),
        has_gone=records.has_gone(folder),
        untrue=("started",) if started and not is_true else (),
    )
