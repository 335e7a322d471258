"""The facts that a run's row keeps of its processes, which the engine asks for and believes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.adapters.engine import records
from app.adapters.engine.records import is_number, mark_of
from app.adapters.supervisor.record_files import EXIT, GONE, STARTED
from app.domain.end_causes import ExitRecord
from app.services.ports import Kept, ProcessMark


@dataclass(frozen=True)
class Known:
    """A run's supervisor, and until when its agent may live, in seconds of the boot clock.

    `init` is process 1 of its sandbox, if any: nothing inside outlives it. `seal` tells its last
    records from made-up ones; None: they are believed as they are. `is_landlocked`: all of the run
    is in a control group that nothing leaves, and that stays where its supervisor is lost.
    """

    supervisor: ProcessMark
    grace_seconds: float
    init: ProcessMark | None = None
    until: float | None = None
    seal: str | None = None
    is_landlocked: bool = False

    def as_kept(self) -> dict[str, Any]:
        """The JSON for the row."""
        return {
            **asdict(self.supervisor),
            "grace": self.grace_seconds,
            "init": asdict(self.init) if self.init else None,
            "until": self.until,
            "seal": self.seal,
            "landlocked": self.is_landlocked,
        }


def read_known(kept: Kept | None) -> Known | None:
    """Read what a row has kept; None where it has nothing that could be understood."""
    fields: Mapping[str, Any] = kept or {}
    supervisor = mark_of(fields, fields.get("boot_id"))
    grace, until, seal = (fields.get(name) for name in ("grace", "until", "seal"))
    if supervisor is None or not is_number(grace):
        return None
    return Known(
        supervisor,
        float(grace),
        mark_of(fields.get("init"), fields.get("boot_id")),
        float(until) if is_number(until) else None,
        seal if isinstance(seal, str) else None,
        fields.get("landlocked") is True,
    )


_WORD_BYTES = 32
# how often a record's word has to be hashed until the seal comes out
_STEPS = {EXIT: 1, GONE: 2}


def new_proofs() -> tuple[dict[str, str], str]:
    """The words of one run's last records by their names, and the seal that fits them."""
    last = secrets.token_hex(_WORD_BYTES)
    first = _hash(last)
    return {EXIT: first, GONE: last}, _hash(first)


def fits(name: str, word: object, seal: str | None) -> bool:
    """True where a record of that name shows the word of this seal, or no seal was made."""
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
