"""The trusted facts about a run's processes, stored in its row; records are checked against them.

The row is believed; the records in the run's folder may have been written by its agent.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from app.adapters.engine import records
from app.adapters.engine.records import is_number, mark_of
from app.adapters.supervisor.record_files import EXIT, GONE, STARTED
from app.domain.end_causes import ExitReason, ExitRecord
from app.services.ports import Kept, ProcessMark, Step, step_of

_WORD_BYTES = 32
# how many times a record's word is hashed to get the seal
_STEPS = {EXIT: 1, GONE: 2}


@dataclass(frozen=True)
class KnownProcesses:
    """A run's supervisor, and the agent's deadline `until` in seconds of the boot clock.

    `init` is process 1 of its sandbox, if any: nothing inside outlives it. `seal` verifies the
    last records; None: they are believed unchecked. `is_landlocked`: the whole run is in a control
    group that no process can leave and that remains if the supervisor is lost. `step` is the step
    that they belong to; `has_begun`: its supervisor said that it executed the agent.
    """

    supervisor: ProcessMark
    grace_seconds: float
    init: ProcessMark | None = None
    until: float | None = None
    seal: str | None = None
    is_landlocked: bool = False
    step: Step = field(default_factory=Step)
    has_begun: bool = False

    def as_kept(self) -> dict[str, Any]:
        """Return the JSON for the row."""
        return {
            **asdict(self.supervisor),
            "grace": self.grace_seconds,
            "init": asdict(self.init) if self.init else None,
            "until": self.until,
            "seal": self.seal,
            "landlocked": self.is_landlocked,
            "turn": self.step.turn,
            "check": self.step.check,
            "begun": self.has_begun,
        }


def read_known(kept: Kept | None) -> KnownProcesses | None:
    """Parse the facts stored in a row; None if missing or invalid."""
    fields: Mapping[str, Any] = kept or {}
    supervisor = mark_of(fields, fields.get("boot_id"))
    grace, until, seal = (fields.get(name) for name in ("grace", "until", "seal"))
    if supervisor is None or not is_number(grace):
        return None
    return KnownProcesses(
        supervisor,
        float(grace),
        mark_of(fields.get("init"), fields.get("boot_id")),
        float(until) if is_number(until) else None,
        seal if isinstance(seal, str) else None,
        fields.get("landlocked") is True,
        step_of(fields) or Step(),
        fields.get("begun") is True,
    )


def new_proofs() -> tuple[dict[str, str], str]:
    """Create the secret words for a run's last records, by record name, and their seal.

    The row keeps the seal, from which no word can be found. A record shows its own word only once
    it is written, so a reader of the row or of an earlier record cannot forge a later one.
    """
    last = secrets.token_hex(_WORD_BYTES)
    first = _hash(last)
    return {EXIT: first, GONE: last}, _hash(first)


def fits(name: str, word: object, seal: str | None) -> bool:
    """Return True if the word of that record matches the seal, or there is no seal."""
    if seal is None:
        return True
    if not isinstance(word, str):
        return False
    for _ in range(_STEPS[name]):
        word = _hash(word)
    return secrets.compare_digest(word, seal)


def _hash(word: str) -> str:
    return hashlib.sha256(word.encode(errors="replace")).hexdigest()


@dataclass(frozen=True)
class CheckedRecords:
    """The verified records of a run; `untrue` names the forged ones, which are ignored.

    `is_started`: there is a `started` record; `agent` is in it once the agent was executed, and
    `log_from` is the position in the log at which the step begins.
    """

    is_started: bool
    agent: ProcessMark | None
    exit: ExitRecord | None
    has_gone: bool
    untrue: tuple[str, ...] = ()
    log_from: int | None = None


def read_checked_records(
    folder: Path, run_id: str, instance: str, known: KnownProcesses
) -> CheckedRecords:
    """Read the records of a run's step and verify them against `known`. Raises RecordUnreadable."""
    untrue: list[str] = []
    ending = known.step.suffix

    def is_true(name: str, fields: Mapping[str, Any]) -> bool:
        if fits(name, fields.get("proof"), known.seal):
            return True
        untrue.append(name)
        return False

    started = records.read_started(folder, run_id, instance, ending)
    is_started = started is not None and started.supervisor == known.supervisor
    if started is not None and not is_started:
        untrue.append(STARTED)
    ended = records.read_exit(folder, is_true, ending)
    has_gone = records.has_gone(folder, is_true, ending)
    believed = started if is_started else None
    return CheckedRecords(
        is_started,
        believed.agent if believed else None,
        ended,
        has_gone,
        tuple(untrue),
        believed.log_from if believed else None,
    )


def is_told_begun(known: KnownProcesses, checked: CheckedRecords) -> bool:
    """Return True if the row or a record says that the agent was executed."""
    if checked.exit is not None:
        return checked.exit.reason is not ExitReason.NOT_SPAWNED
    return known.has_begun or checked.agent is not None


def has_begun(known: KnownProcesses, checked: CheckedRecords) -> bool:
    """Return True unless records prove that the agent of a supervisor that is gone never began.

    Each supervisor writes that it started before its row is written: if that record is missing, it
    was removed, and only an agent could do that.
    """
    is_removed = not checked.is_started and checked.exit is None
    return is_removed or is_told_begun(known, checked)
